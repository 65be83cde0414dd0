"""Reads our recordings for evaluation: live windows, judged by the baselines in them.

    DIR/normal/…                 ordinary life; one file or many, directories may nest
    DIR/attack/…/TECHNIQUE/…     a file holds one attack; its parent names the technique

`agent drill run --record DIR` leaves its recordings so, and `agent record` adds to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agent.drills.recordings import ATTACK, NORMAL
from agent.errors import AgentError
from agent.recording import facts, frames
from detectors.assessment import BaselineState, Level
from detectors.baseline import Baseline
from detectors.errors import DetectorError
from detectors.judge import Judge
from detectors.window import Window
from detectors.words import Words

_JUDGING: Final = (BaselineState.GUARDING, BaselineState.QUESTIONED)
_TECHNIQUE: Final = re.compile(r"(?:AML\.)?T\d{4}")


class RecordingSetError(AgentError):
    """{0} cannot be evaluated: {1}."""

    exit_code = 65


@dataclass(frozen=True, slots=True)
class Seen:
    """One window, as far as it is needed.

    Attributes:
        scores: By channel, without the prior's.
        fresh: Sequences that the baseline does not know.
        surprisal: Bits, of each of them.
        level: What the product concluded.
    """

    scores: dict[str, float]
    fresh: Words
    surprisal: NDArray[np.float64]
    level: Level


@dataclass(slots=True)
class Recording:
    """One file.

    Attributes:
        kind: What its directory says it is; "" for ordinary life.
        windows: In their order.
        calls: System calls in them.
        model_bytes: Of the largest baseline.
        lost: Records missing from it.
    """

    path: Path
    kind: str
    windows: list[Seen] = field(default_factory=list)
    calls: int = 0
    model_bytes: int = 0
    lost: int = 0

    @property
    def technique(self) -> str:
        """The technique without its part: a prior for one must not know its siblings either."""
        found = _TECHNIQUE.match(self.kind)
        return found.group() if found else self.kind

    @property
    def fresh(self) -> Words:
        """All sequences that no baseline in it knew, ascending."""
        each = [np.zeros(0, np.uint64), *(window.fresh for window in self.windows)]
        return np.unique(np.concatenate(each))


@dataclass(slots=True)
class RecordingSet:
    """What a directory holds.

    Attributes:
        refused: "path: why", of files that are no such recordings.
    """

    normal: list[Recording] = field(default_factory=list)
    attacks: list[Recording] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def read_set(root: Path) -> RecordingSet:
    """Read every recording of a directory.

    Raises:
        RecordingSetError: One of its two parts is missing, or holds not one recording.
    """
    found = RecordingSet()
    for part, kept in ((NORMAL, found.normal), (ATTACK, found.attacks)):
        if not (root / part).is_dir():
            raise RecordingSetError(root, f"there is no directory {part} in it")
        for path in _files(root / part):
            try:
                kept.append(read_recording(path, path.parent.name if part == ATTACK else ""))
            except AgentError as error:
                found.refused.append(str(error))
        if not kept:
            why = found.refused[-1] if found.refused else "it holds no file"
            raise RecordingSetError(root / part, f"not one recording can be used ({why})")
    return found


def _files(root: Path) -> Iterator[Path]:
    yield from (p for p in sorted(root.rglob("*")) if p.is_file() and not p.name.startswith("."))


def read_recording(path: Path, kind: str) -> Recording:
    """Judge a recording's windows by the baselines in it.

    Raises:
        RecordingSetError: It makes no sense, or no baseline in it guards.
        AgentError: It is no recording, damaged or cut off.
    """
    found = Recording(path, kind)
    judges: dict[str, Judge] = {}
    try:
        for name, *rest in frames.read(path):
            if name == "judge":
                judges[rest[0]] = _begin(found, rest[1])
            elif name == "window":
                window = facts.unpack_window(rest[0])
                _judge(found, judges[window.workload], window)
            elif name == "lost":
                found.lost += int(rest[0])
    except (KeyError, ValueError, TypeError, IndexError, DetectorError) as error:
        raise RecordingSetError(path, f"a record makes no sense ({error})") from error
    if not found.windows:
        raise RecordingSetError(path, "no window in it was judged by a baseline that guards")
    return found


def _begin(found: Recording, start: Mapping[str, Any]) -> Judge:
    """Judge anew from the baseline alone: each recording stands for itself."""
    baseline: bytes = start["baseline"]
    found.model_bytes = max(found.model_bytes, len(baseline))
    return Judge(facts.unpack_settings(start["settings"]), Baseline.from_bytes(baseline))


def _judge(found: Recording, judge: Judge, window: Window) -> None:
    if judge.baseline.state not in _JUDGING:
        return
    scores = judge.baseline.scores(window)
    fresh, surprisal = judge.baseline.sequences.fresh(window.grams)
    level = judge.observe(window).level
    found.windows.append(Seen(scores, fresh, surprisal, level))
    found.calls += window.calls
