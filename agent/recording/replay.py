"""Judges a recording again: the same detectors in the same order, time from the records alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.daemon.telling import Telling
from agent.daemon.verdicts import Context, Origin, protagonist, verdict
from agent.recording import facts, frames
from agent.recording.errors import NoRecordingError
from detectors.assessment import Assessment, BaselineState, Level
from detectors.baseline import Baseline, Floats
from detectors.errors import BaselineCorruptError
from detectors.judge import Judge
from detectors.resources import ResourceModel
from detectors.resources import fit as fit_here
from detectors.window import Phase, Window

Verdict = dict[str, Any]


@dataclass(slots=True)
class Course:
    """One workload as it goes through the recording.

    Attributes:
        state: Where its baseline stood live after the window at hand.
        followed: Whether life moves as it did live. A fit takes its worker a time no record
            tells; with another baseline the replay goes its own way.
        asked: The rows a fit was first asked for: the live worker fits those, however late.
    """

    origin: Origin
    judge: Judge
    telling: Telling
    followed: bool
    state: BaselineState = BaselineState.LEARNING
    window: Window | None = None
    asked: Floats | None = None

    def fit(self, rows: Floats) -> ResourceModel | None:
        """Fit what the live worker was first asked to, when it had answered; or at once."""
        if not self.followed:
            return fit_here(rows)
        if self.asked is None:
            self.asked = rows
        if self.state is not BaselineState.SHADOW:
            return None
        asked, self.asked = self.asked, None
        return fit_here(asked)


@dataclass(slots=True)
class Replay:
    """Reads one recording through.

    Attributes:
        path: The file.
        baseline: Judges in place of the recorded one, for the workload it was learnt from.
        counts: Of records read, by kind.
        lost: Records that found no room when it was made: verdicts may differ after them.
    """

    path: Path
    baseline: Baseline | None = None
    counts: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    _courses: dict[str, Course] = field(default_factory=dict)

    def verdicts(self) -> Iterator[Verdict]:
        """Yield verdicts in their order, as far as the file goes.

        Raises:
            NoRecordingError: Not such a file, or records that make no sense.
            BrokenRecordingError: Damaged or cut off; what stood before was yielded.
        """
        for record in frames.read(self.path):
            self.counts[record[0]] += 1
            try:
                found = self._take(record)
            except (KeyError, ValueError, TypeError, IndexError, BaselineCorruptError) as error:
                what = f"record {self.counts.total()} makes no sense ({error})"
                raise NoRecordingError(self.path, what) from error
            if found is not None:
                yield found

    def _take(self, record: frames.Record) -> Verdict | None:
        kind, *rest = record
        if kind == "judged":
            return self._judge_window(*rest)
        takers: dict[str, Callable[..., None]] = {
            "judge": self._begin,
            "items": self._items,
            "window": self._window,
            "approved": self._approve,
            "settings": self._settings,
            "compared": self._compared,
            "kept": self._kept,
            "settled": self._settled,
            "noted": self._noted,
            "lost": self._lost,
        }
        taker = takers.get(kind)
        if taker is not None:
            taker(*rest)
        return None

    def _begin(self, name: str, start: dict[str, Any]) -> None:
        origin = Origin(start["host"], name, start["engine"], start["offset_ns"])
        level, told_ns = start["told"]
        settings, prior = facts.unpack_settings(start["settings"]), facts.unpack_prior(start)
        if self.baseline is not None and self.baseline.workload == name:
            given = Baseline.from_bytes(self.baseline.to_bytes())
            course = Course(origin, Judge(settings, given, prior=prior), Telling(), followed=False)
        else:
            recorded = Baseline.from_bytes(start["baseline"])
            acts = {(role, kind, item): at_ns for role, kind, item, at_ns in start["acts"]}
            told = Telling(Level(level), told_ns, acts)
            course = Course(origin, Judge(settings, recorded, prior=prior), told, followed=True)
            facts.restore_memory(course.judge, start)
        course.judge.fit = course.fit
        self._courses[name] = course

    def _items(self, name: str, items: list[facts.Plain], phase: str = "") -> None:
        judge = self._courses[name].judge
        judge.phase = Phase(phase) if phase else judge.phase  # absent in older recordings
        judge.assess_items([facts.unpack_item(item) for item in items])

    def _window(self, plain: facts.Plain) -> None:
        window = facts.unpack_window(plain)
        self._courses[window.workload].window = window

    def _judge_window(self, name: str, state: str, acted: bool) -> Verdict | None:  # noqa: FBT001 - a record's field
        course = self._courses[name]
        if course.window is None:
            return None  # its window was lost; counted
        window, course.window, course.state = course.window, None, BaselineState(state)
        assessment = course.judge.observe(window)
        if not course.telling.worth(assessment, window, acted=acted):
            return None
        return _verdict(course, window, assessment)

    def _approve(self, name: str, items: list[facts.Plain]) -> None:
        judge = self._courses[name].judge
        judge.evidence.reset()
        judge.baseline.approve(facts.unpack_item(item) for item in items)

    def _settings(self, name: str, settings: dict[str, Any]) -> None:
        self._courses[name].judge.settings = facts.unpack_settings(settings)

    def _compared(self, name: str, made_of: dict[str, str]) -> None:
        self._courses[name].judge.compare(made_of)

    def _kept(self, name: str, made_of: dict[str, str]) -> None:
        self._courses[name].judge.baseline.keep(made_of)

    def _settled(self, name: str, time_ns: int) -> None:
        self._courses[name].judge.settle(time_ns)

    def _noted(self, name: str, made_of: dict[str, str], learned_unix_ns: int) -> None:
        baseline = self._courses[name].judge.baseline
        baseline.made_of, baseline.learned_unix_ns = made_of, learned_unix_ns

    def _lost(self, count: int) -> None:
        self.lost += count


def _verdict(course: Course, window: Window, assessment: Assessment) -> Verdict:
    """The live verdict without what only the host could tell: process tree, records, response."""
    shown = protagonist(assessment.novel)
    process = {} if shown is None else {"pid": shown.pid, "exe": shown.exe}
    response = {"action": "none", "state": "replayed", "containment": "", "undo": ""}
    context = Context(process, response, baseline=course.judge.baseline.summary())
    return verdict(course.origin, window, assessment, context)
