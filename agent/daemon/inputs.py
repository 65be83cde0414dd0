"""The content tap: for workloads that an operator names, whether what they are asked drifts.

Kept is, by workload, one file: the salt, and counts of salted hashes by route. It is as old as its
salt; after `retention_days` both go, and all is learnt anew. What is no longer named loses its
file at once, and so does what a person has forgotten or learned anew.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agent.daemon.baselines import file_name, replace_file
from agent.daemon.modes import Modes, Tap
from agent.errors import AgentError
from agent.log import log
from agent.seal import ForgedBaselineError, seal, unseal
from collectors.sightings import Sighting
from collectors.sketches import Sketches
from detectors import framing, inputs
from detectors.assessment import BaselineState
from detectors.errors import BaselineCorruptError
from detectors.inputs import InputModel, Moved, Sketch

if TYPE_CHECKING:
    from agent.daemon.daemon import Daemon

DIRECTORY: Final = "sketches"
_SUFFIX: Final = ".sketch"
SAVE_S: Final = 300.0
"""Between writes; so much of what it learnt may a crash take."""

_SALT_BYTES: Final = 16
_DAY_S: Final = 86_400.0
_SILENT: Final = frozenset({BaselineState.LEARNING, BaselineState.SHADOW})


@dataclass(slots=True)
class Tapped:
    """One workload.

    Attributes:
        since_s: Unix time from which on its salt holds.
        prefix_bytes: Of each body: what was learned of some bytes says nothing of more of them.
        number: The kernel's, while it runs.
    """

    salt: bytes = field(repr=False)
    since_s: float
    prefix_bytes: int
    model: InputModel = field(default_factory=InputModel)
    number: int | None = None
    saved_s: float = 0.0

    def to_bytes(self) -> bytes:
        """What is kept of it."""
        head, arrays = inputs.plain(self.model)
        salt = np.frombuffer(self.salt, np.uint8)
        kept = {"since_s": self.since_s, "prefix_bytes": self.prefix_bytes, "routes": head}
        return framing.pack(kept, {**arrays, "salt": salt})

    @classmethod
    def from_bytes(cls, data: bytes) -> Tapped:
        """The one that `to_bytes` was asked of; BaselineCorruptError if the bytes are none."""
        head, arrays = framing.unpack(data)
        try:
            salt = arrays.pop("salt").view(np.uint8).reshape(_SALT_BYTES).tobytes()
            model = inputs.restored(head["routes"], arrays)
            return cls(salt, float(head["since_s"]), int(head["prefix_bytes"]), model)
        except (KeyError, TypeError, ValueError) as error:
            raise BaselineCorruptError(f"its content does not fit: {error}") from error


class Inputs:
    """Taps what the settings name.

    Args:
        daemon: Whose workloads they are; its sensor, settings and baselines are there by now.
        clock: Returns Unix time in seconds.

    Attributes:
        modes: By which the kernel is asked, for stacks, too.
        requests: Whose bodies became part of a sketch.
    """

    def __init__(self, daemon: Daemon, clock: Callable[[], float] = time.time) -> None:
        """Have the kernel tap nothing; `look` asks for what is wanted."""
        self._daemon, self._clock, self.requests = daemon, clock, 0
        self._files, self.modes = daemon.baselines, Modes(daemon.sensor)
        self._sketches, self._tapped = Sketches(daemon.sensor), dict[str, Tapped]()
        self.modes.untap()
        self._reconfigure()

    def _reconfigure(self) -> None:
        """Take the settings of now: what is not named any more leaves nothing behind."""
        self._tap = self._daemon.settings.tap
        for name in self._tapped.keys() - set(self._tap.workloads):
            self.forget(name)
        wanted = {self._path(name) for name in self._tap.workloads}
        for path in set(self._directory.glob("*")) - wanted:
            path.unlink(missing_ok=True)

    @property
    def _directory(self) -> Path:
        return self._files.state / DIRECTORY

    def _path(self, name: str) -> Path:
        return self._directory / f"{file_name(name)}{_SUFFIX}"

    def look(self, length_s: float) -> None:
        """Take in what was read in the window that ended, and have drifts judged.

        Args:
            length_s: Seconds of that window.
        """
        if self._daemon.settings.tap != self._tap:
            self._reconfigure()
        if not self._tap.workloads:
            return
        for name in self._tap.workloads:
            found = self._daemon.registry.workloads.get(name)
            self._follow(name, None if found is None else found.id)
        read = self._sketches.read()
        for name, one in self._tapped.items():
            watcher = self._daemon.watchers.get(name)
            if watcher is None or one.number is None:
                continue
            state = watcher.judge.baseline.state
            self.requests += sum(r.requests for r in read.get(one.number, ()))
            window = [Sketch(r.route, r.requests, r.counts) for r in read.get(one.number, ())]
            one.model.take(
                window,
                length_s,
                learning=state is BaselineState.LEARNING,
                shadow=state is BaselineState.SHADOW,
            )
            if state in _SILENT:
                continue
            moved = one.model.moved(watcher.judge.settings.false_alarms_per_month)
            one.model.tell(moved)
            if moved:
                told = [_sighting(each, one.number) for each in moved]
                watcher.see(told, self._daemon.membership.role_of)
        self._keep()

    def _follow(self, name: str, number: int | None) -> None:
        """Have it tapped as long as it has a number; what is too old goes, running or not."""
        one = self._tapped.get(name)
        if one is not None and self._is_over(one):
            self.forget(name)
            one = None
        if one is None:
            one = self._tapped[name] = self._load(name)
        if one.number != number:
            self._leave(one)
            one.number = number
            if number is not None:
                self._sketches.forget(number)  # of another salt
                self._ask(one)

    def _is_over(self, one: Tapped) -> bool:
        age_s = self._clock() - one.since_s
        young = 0 <= age_s < self._tap.retention_days * _DAY_S
        return not young or one.prefix_bytes != self._tap.prefix_bytes

    def _ask(self, one: Tapped) -> None:
        if one.number is not None:
            self.modes.tap(one.number, Tap(self._tap.prefix_bytes, one.salt))

    def _leave(self, one: Tapped) -> None:
        if one.number is not None:
            self.modes.tap(one.number, None)
            self._sketches.forget(one.number)
        one.number = None

    def _load(self, name: str) -> Tapped:
        """What is kept, if it is ours, whole and not too old; else one that knows nothing."""
        salt, now_s = secrets.token_bytes(_SALT_BYTES), self._clock()
        fresh = Tapped(salt, now_s, self._tap.prefix_bytes)
        path = self._path(name)
        try:
            opened = unseal(path.read_bytes())
            if opened.key != self._files.signer.public:
                raise ForgedBaselineError("nobody" if not opened.key else "another key")
            kept = Tapped.from_bytes(opened.content)
        except FileNotFoundError:
            return fresh
        except (BaselineCorruptError, AgentError, OSError) as error:
            log.error("tap.not_kept", workload=name, path=path, why=error)
            path.unlink(missing_ok=True)
            return fresh
        if self._is_over(kept):
            path.unlink(missing_ok=True)
            log.info("tap.forgotten", workload=name, days=_days(now_s - kept.since_s))
            return fresh
        return kept

    def forget(self, name: str) -> None:
        """Delete what was learned of a workload, and its salt; a tap that goes on begins anew."""
        self._path(name).unlink(missing_ok=True)
        one = self._tapped.pop(name, None)
        if one is None:
            return
        self._leave(one)
        log.info("tap.forgotten", workload=name, days=_days(self._clock() - one.since_s))

    def _keep(self, *, all_of_them: bool = False) -> None:
        for name, one in self._tapped.items():
            due = all_of_them or time.monotonic() - one.saved_s >= SAVE_S
            if due and one.model.routes:
                self._save(name, one)

    def _save(self, name: str, one: Tapped) -> None:
        one.saved_s = time.monotonic()
        path = self._path(name)
        try:
            replace_file(path, seal(one.to_bytes(), self._files.signer))
        except OSError as error:
            log.once("tap.not_kept", workload=name, path=path, why=error)

    def status(self, name: str) -> dict[str, Any]:
        """What `agent status` tells of a workload's tap: empty for one that is not tapped."""
        one = self._tapped.get(name)
        if one is None:
            return {}
        routes = one.model.routes
        return {
            "since_unix_s": round(one.since_s),
            "routes": sorted(routes),
            "judged": sorted(name for name, route in routes.items() if route.ready),
            "refused": one.model.refused,
        }

    def close(self) -> None:
        """Keep what was learnt, and have the kernel tap nothing while nobody reads it."""
        self._keep(all_of_them=True)
        self.modes.untap()


def _days(age_s: float) -> float:
    return round(age_s / _DAY_S, 1)


def _sighting(moved: Moved, number: int) -> Sighting:
    """Of no process: it is about those who ask."""
    now_ns = time.monotonic_ns()
    return Sighting("inputs", moved.item, number, 0, now_ns, 0, 0, 0, 0, 0, "", other=moved.words)
