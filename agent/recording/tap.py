"""Where the daemon lets a recording listen: between what it sees and what judges it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from agent.daemon.telling import Telling
from agent.daemon.verdicts import Origin
from agent.recording import facts
from agent.recording.errors import RecordingRunsError
from agent.recording.recorder import Recorder
from detectors.assessment import BaselineState
from detectors.baseline import Baseline
from detectors.judge import Judge
from detectors.settings import JudgeSettings
from detectors.window import Item, Window

_NS = 1_000_000_000


class Judging(Protocol):
    """One workload as it is judged: the daemon's watcher."""

    @property
    def origin(self) -> Origin:
        """Whose verdicts they are."""

    @property
    def judge(self) -> Judge:
        """Who judges."""

    @property
    def telling(self) -> Telling:
        """What was told."""


@dataclass(slots=True)
class Tap:
    """Passes on what judges are given, while somebody records. All of it in the daemon's loop.

    Attributes:
        ended: The latest recording that ended; its last records may still be on their way.
    """

    ended: Recorder | None = None
    _recorder: Recorder | None = None
    _until_ns: int = 0
    _begun: set[str] = field(default_factory=set)

    @property
    def path(self) -> Path | None:
        """Where a recording is written to now."""
        return None if self._recorder is None else self._recorder.path

    def start(self, path: Path, for_s: float, watchers: Iterable[Judging]) -> None:
        """Begin a recording that ends by itself after `for_s` seconds.

        Raises:
            RecordingRunsError: One is under way.
            RecordingPathError: The file cannot be made.
        """
        if self._recorder is not None:
            raise RecordingRunsError(self._recorder.path)
        self._recorder = Recorder(path)
        self._until_ns = time.monotonic_ns() + round(for_s * _NS)
        self.ended = None
        for watcher in watchers:
            self.judging(watcher)

    def stop(self) -> Recorder | None:
        """End the recording, if there is one; returns the latest, to wait for outside the loop."""
        if self._recorder is not None:
            self._recorder.end()
            self.ended, self._recorder = self._recorder, None
            self._begun.clear()
        return self.ended

    def tick(self, now_ns: int) -> None:
        """End a recording whose time is over."""
        if self._recorder is not None and now_ns >= self._until_ns:
            self.stop()

    def judging(self, watcher: Judging) -> None:
        """A workload is judged from here on, by this baseline."""
        if self._recorder is None:
            return
        origin, telling = watcher.origin, watcher.telling
        start: dict[str, Any] = facts.pack_judge(watcher.judge) | {
            "host": origin.host,
            "engine": origin.engine,
            "offset_ns": origin.offset_ns,
            "told": [int(telling.level), telling.told_ns],
            "acts": [[*act, told_ns] for act, told_ns in telling.acts.items()],
        }
        name = origin.workload
        self._begun.add(name)
        self._recorder.offer(lambda: ["judge", name, start])

    def items(self, watcher: Judging, items: Sequence[Item]) -> None:
        """Items are about to be judged at once."""
        if self._recorder is None:
            return
        if watcher.origin.workload not in self._begun:
            self.judging(watcher)
        name, kept = watcher.origin.workload, tuple(items)
        phase = watcher.judge.phase.value
        self._recorder.offer(
            lambda: ["items", name, [facts.pack_item(item) for item in kept], phase]
        )

    def window(self, watcher: Judging, window: Window) -> None:
        """A window is about to be judged."""
        if self._recorder is None:
            return
        if watcher.origin.workload not in self._begun:
            self.judging(watcher)
        self._recorder.offer(lambda: ["window", facts.pack_window(window)])

    def judged(self, name: str, state: BaselineState, *, acted: bool) -> None:
        """The window was judged: where its baseline stands now, and whether a step was taken."""
        label = state.value
        self._tell(name, lambda: ["judged", name, label, acted])

    def approved(self, name: str, items: Sequence[Item]) -> None:
        """An operator took items in as normal."""
        kept = tuple(items)
        self._tell(name, lambda: ["approved", name, [facts.pack_item(item) for item in kept]])

    def settings(self, name: str, settings: JudgeSettings) -> None:
        """An operator changed the settings."""
        self._tell(name, lambda: ["settings", name, facts.pack_settings(settings)])

    def compared(self, name: str, made_of: Mapping[str, str]) -> None:
        """What runs was held against the baseline, and that changed its state."""
        kept = dict(made_of)
        self._tell(name, lambda: ["compared", name, kept])

    def noted(self, name: str, baseline: Baseline) -> None:
        """The agent noted on a baseline what only a host can know."""
        plain = [dict(baseline.made_of), baseline.learned_unix_ns]
        self._tell(name, lambda: ["noted", name, *plain])

    def kept(self, name: str, made_of: Mapping[str, str]) -> None:
        """An operator keeps the baseline for what runs now."""
        kept = dict(made_of)
        self._tell(name, lambda: ["kept", name, kept])

    def settled(self, name: str, time_ns: int) -> None:
        """An operator gave the workload back."""
        self._tell(name, lambda: ["settled", name, time_ns])

    def _tell(self, name: str, record: Callable[[], list[Any]]) -> None:
        """Record what happened to a judge that is in the file; one that begins later brings it."""
        if self._recorder is not None and name in self._begun:
            self._recorder.offer(record)
