"""What one workload was learnt to do, and the life of that knowledge.

learning -> shadow -> guarding -> questioned -> learning. Time alone opens no gate: shadow needs
windows with activity, a quiet period without anything new and measured coverage; guarding needs
enough windows scored in shadow, which nothing was fitted to. Scoring never learns, and nothing
seen while guarding enters the reference unless somebody approves it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors import features, novelty, unasked
from detectors.assessment import BaselineState, Level, NovelItem
from detectors.conformal import MAX_SCORES, MIN_SCORES, Calibration
from detectors.errors import LifeError
from detectors.repertoire import Repertoire
from detectors.resources import MIN_ROWS, ResourceModel
from detectors.sensitive import sensitivity
from detectors.sequences import Sequences
from detectors.settings import JudgeSettings
from detectors.traffic import TrafficModel
from detectors.unasked import UnaskedWork
from detectors.window import Item, ItemKind, Phase, Window

BREAKS: Final = 3
BREAKS_SHARE: Final = 0.05
"""As many breaks of a quiet period or of a shadow, in no larger a share of the windows, end the
waiting for quiet. Whoever is attacked while he learns is never quiet; what comes seldom and is
new each time is then told like any other novelty, and no more learnt. A server that shows new
things more often than that is not known yet."""

DOUBTED: Final = frozenset({ItemKind.EXEC, ItemKind.WRITE, ItemKind.FILE})
"""Kinds of sensitive things that are the steps of an attack, and that an ordinary life repeats."""

MAX_LATELY: Final = 3

Floats = NDArray[np.float64]

Fit = Callable[[Floats], ResourceModel | None]
"""Fits a resource model to rows; None means "still at it, ask again with the next window"."""

MAX_ROWS: Final = 2_048
"""Resource rows kept for the fit; beyond it every second one is dropped, evenly over time."""

MARGINS: Final = {"sequence": 0.25, "unseen": 0.0, "likeness": 16.0, "resources": 2.0}
"""By channel, what a score must exceed the calibrated ones by to count as more unusual: bits per
call, bits, bits, standard deviations. A short shadow is steadier than a day, and however surely a
deviation is smaller than this, it is nothing to wake anybody for. Only ever raises p-values, so
the budget still holds."""


@dataclass(slots=True)
class Baseline:
    """Everything learnt about one workload.

    Attributes:
        workload: Its name.
        state: Where in its life.
        windows: Windows with activity learnt.
        first_ns: Start of the first window, CLOCK_MONOTONIC of the host that learnt.
        last_new_ns: When something worth noting was last new.
        shadow_since_ns: When shadow began; 0 before.
        repertoire: Things seen, by role.
        sequences: Call sequences, by role.
        rows: Resource readings kept for the fit, `stride` windows apart.
        resources: Fitted at the end of learning.
        unasked: Same.
        traffic: Highs of what was asked of it, learnt until it guards.
        shadow_scores: By channel, in order of time.
        calibrations: By channel, frozen at the end of shadow.
        reason: Why it is questioned, or went back to learning.
        made_of: What the server was made of: its executable, its models; facts by name.
        outdated: Whether what runs now is made of something else.
        learned_unix_ns: When it began to guard; 0 before.
        watched: Windows since there was enough evidence, shadow's too.
        breaks: How many of these showed something worth noting that was new.
        lately: What that was, latest last; not kept on disk.
        news: What was worth noting in the latest window learnt; not kept on disk.
        uploads: By phase other than the steady one, the most bytes per second that were sent on
            its own connections while it was learnt.
    """

    workload: str
    state: BaselineState = BaselineState.LEARNING
    windows: int = 0
    first_ns: int = 0
    last_new_ns: int = 0
    shadow_since_ns: int = 0
    repertoire: Repertoire = field(default_factory=Repertoire)
    sequences: Sequences = field(default_factory=Sequences)
    rows: list[Floats] = field(default_factory=list)
    stride: int = 1
    resources: ResourceModel | None = None
    unasked: UnaskedWork | None = None
    traffic: TrafficModel = field(default_factory=TrafficModel)
    shadow_scores: dict[str, list[float]] = field(default_factory=dict)
    calibrations: dict[str, Calibration] = field(default_factory=dict)
    reason: str = ""
    made_of: dict[str, str] = field(default_factory=dict)
    outdated: bool = False
    learned_unix_ns: int = 0
    uploads: dict[str, float] = field(default_factory=dict)
    watched: int = 0
    breaks: int = 0
    news: list[Item] = field(default_factory=list)
    lately: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_LATELY))

    def learn(self, window: Window) -> None:
        """Take one window into what is known.

        Raises:
            LifeError: the baseline does not learn in this state.
            FeatureError: the window's readings are impossible.
        """
        if self.state is not BaselineState.LEARNING:
            raise LifeError("learn", self.state)
        row = window.row
        self.repertoire.phases.add(window.phase)
        if window.phase is not Phase.STEADY:
            sent = window.features.get("bytes_out_initiated", 0.0)
            self.uploads[window.phase] = max(self.uploads.get(window.phase, 0.0), sent)
        self.first_ns = self.first_ns or window.start_ns
        self.last_new_ns = self.last_new_ns or window.start_ns
        self.news = [item for item in window.items if self.learn_item(item, window.phase)]
        if not window.is_evidence:
            return
        self.sequences.learn(window.grams)
        if self.windows % self.stride == 0:
            self.rows.append(row)
            if len(self.rows) > MAX_ROWS:
                self.rows, self.stride = self.rows[::2], self.stride * 2
        self.windows += 1

    def learn_item(self, item: Item, phase: Phase = Phase.STEADY) -> bool:
        """Take one item in; returns whether it was something that matters.

        What is never ordinary is not learnt: only `approve` takes it in. Nor is what is new
        once the waiting for quiet was given up.
        """
        found = sensitivity(item)
        if found is not None and found.invariant:
            return False
        phase = novelty.phase_of(item, phase)
        new = novelty.assess(item, self.repertoire, phase)
        serious = new is not None and new.level >= Level.MEDIUM
        if serious and self.restless and phase is Phase.STEADY:
            return True
        if serious:
            self.last_new_ns = max(self.last_new_ns, item.time_ns)
        unknown = new is not None and new.level >= Level.HIGH and item.kind is ItemKind.EXEC
        if phase is Phase.STEADY and (unknown or (found is not None and item.kind in DOUBTED)):
            self.repertoire.doubt(item)
        self.repertoire.add(item, phase)
        return serious

    @property
    def restless(self) -> bool:
        """Whether it is given up to wait for quiet: new things go on coming, but seldom."""
        return self.breaks >= BREAKS and self.breaks <= BREAKS_SHARE * self.watched

    def _watch(self, news: Sequence[Item]) -> None:
        """Count a window of the time in which only quiet is missing, and what broke it."""
        self.watched += 1
        self.breaks += bool(news)
        self.lately.extend(f"{item.kind} {item.item}" for item in news)

    def advance(self, window: Window, settings: JudgeSettings, fit: Fit) -> BaselineState:
        """Move on in life if the gates allow it, after `window` was learnt or scored.

        Returns:
            The state from here on.
        """
        learning = self.state is BaselineState.LEARNING
        if learning and window.is_evidence and self.windows >= _enough(settings):
            self._watch(self.news)
        if self.state is BaselineState.LEARNING and not self.missing(settings, window.end_ns):
            self.resources = fit(np.array(self.rows))
            if self.resources is not None:
                self.unasked = unasked.fit(np.array(self.rows))
                self.state, self.shadow_since_ns = BaselineState.SHADOW, window.end_ns
                self.shadow_scores, self.sequences.shown = {}, {}
        elif self.state is BaselineState.SHADOW:
            self._shadow(window)
            if not self.missing(settings, window.end_ns):
                self.calibrations = {
                    channel: Calibration.of(scores)
                    for channel, scores in self.shadow_scores.items()
                }
                self.state, self.shadow_scores = BaselineState.GUARDING, {}
        return self.state

    def _shadow(self, window: Window) -> None:
        """Score one window for calibration, or go back to learning if it shows something new."""
        news = [novelty.assess(item, self.repertoire, window.phase) for item in window.items]
        serious = [new for new in news if new is not None and new.level >= Level.MEDIUM]
        self._watch([new.as_item() for new in serious if not new.sensitive])
        if any(not new.sensitive for new in serious) and not self.restless:
            self.state = BaselineState.LEARNING
            self.last_new_ns = window.end_ns
            self.reason = "something new in shadow: " + ", ".join(
                sorted({f"{new.kind} {new.item}" for new in serious if not new.sensitive})
            )
            for item, new in zip(window.items, news, strict=True):
                if new is not None and not new.sensitive:
                    self.repertoire.add(item, novelty.phase_of(item, window.phase))
            return
        for item, new in zip(window.items, news, strict=True):
            if new is not None and not new.sensitive and new not in serious:
                self.repertoire.add(item, novelty.phase_of(item, window.phase))
        if not serious and not window.lost:
            for channel, score in self.scores(window).items():
                kept = self.shadow_scores.setdefault(channel, [])
                kept.append(score)
                del kept[: -4 * MAX_SCORES]
        self.sequences.note(window.grams)

    def missing(self, settings: JudgeSettings, now_ns: int) -> tuple[str, ...]:
        """Return, in words, what is still missing for the next state; empty if nothing is."""
        if self.state is BaselineState.LEARNING:
            return tuple(self._missing_evidence(settings, now_ns))
        if self.state is BaselineState.SHADOW:
            left_s = settings.shadow_s - (now_ns - self.shadow_since_ns) / 1e9
            scored = max((len(scores) for scores in self.shadow_scores.values()), default=0)
            return tuple(
                text
                for text, open_ in (
                    (f"{left_s:.0f} s of shadow", left_s > 0),
                    (f"{MIN_SCORES - scored} scored windows", scored < MIN_SCORES),
                )
                if open_
            )
        return ()

    def _missing_evidence(self, settings: JudgeSettings, now_ns: int) -> Iterator[str]:
        wanted = _enough(settings)
        if self.windows < wanted:
            yield f"{wanted - self.windows} windows with activity"
        quiet_s = (now_ns - self.last_new_ns) / 1e9
        if quiet_s < settings.quiet_s and not self.restless:
            yield f"{settings.quiet_s - quiet_s:.0f} s without anything new{self._lately()}"
        coverage = self.sequences.coverage
        if coverage is None or coverage < settings.min_coverage:
            yield (
                f"coverage of {settings.min_coverage:.0%} of its calls"
                f" (now {0 if coverage is None else coverage:.0%})"
            )

    def _lately(self) -> str:
        """Say what keeps it from being quiet, once it was not for long."""
        if self.breaks < BREAKS or not self.lately:
            return ""
        return (
            f" (lately new: {', '.join(self.lately)}; it stays at learning while more than"
            f" {BREAKS_SHARE:.0%} of its windows show new things)"
        )

    def scores(self, window: Window) -> dict[str, float]:
        """Return the channels' scores of one window; a channel that knows nothing is absent.

        Changes nothing. Only for phases the sequences were learnt in: a start-up is not measured
        against the steady state.
        """
        if not window.is_evidence:
            return {}
        found = self.sequences.scores(window.grams)
        if self.resources is not None:
            distance = self.resources.score(window.row)
            if distance is not None:
                found["resources"] = distance
        return found

    def p_values(self, scores: Mapping[str, float], lost: int) -> dict[str, float]:
        """Return each calibrated channel's p-value. Changes nothing.

        Args:
            scores: Of one window, as `scores` returns.
            lost: Records missing from that window.
        """
        found: dict[str, float] = {}
        for channel, score in scores.items():
            calibration = self.calibrations.get(channel)
            p_value = (
                None if calibration is None else calibration.p_value(score - MARGINS[channel], lost)
            )
            if p_value is not None:
                found[channel] = p_value
        return found

    @property
    def bet_stride(self) -> int:
        """Every how many windows evidence may be gathered: the slowest channel's stride."""
        return max((calibration.stride for calibration in self.calibrations.values()), default=1)

    def approve(self, items: Iterable[Item | NovelItem]) -> int:
        """Take named things in, by somebody's decision. Returns how many were new."""
        before = len(self.repertoire)
        for item in items:
            if isinstance(item, NovelItem):
                item = item.as_item()  # noqa: PLW2901
            self.repertoire.believe(item)
        return len(self.repertoire) - before

    def question(self, reason: str) -> None:
        """Doubt the baseline: it still scores, and asks for a person's decision."""
        self.state, self.reason = BaselineState.QUESTIONED, reason

    def differences(self, made_of: Mapping[str, str]) -> tuple[str, ...]:
        """Return, in words, what runs now and is another than was learnt.

        What was not learnt or is not there now says nothing here: that is for novelty.
        """
        return tuple(
            f"{name} is now {now}, learned with {self.made_of[name]}"
            for name, now in sorted(made_of.items())
            if self.made_of.get(name, now) != now
        )

    def compare(self, made_of: Mapping[str, str]) -> bool:
        """Hold what runs against what was learnt, and move on in life where that says so.

        A guarding baseline is questioned when they differ, and guards again when they no longer
        do: after a roll-back nothing is left to decide. One in shadow learns on.

        Returns:
            Whether the state changed.
        """
        if self.state is BaselineState.LEARNING:
            return False
        changed = self.differences(made_of)
        self.made_of = {**made_of, **self.made_of}  # what was approved, or learnt elsewhere
        if self.state is BaselineState.SHADOW and changed:
            self.relearn("; ".join(changed))
        elif changed and not self.outdated:
            self.outdated = True
            self.question("; ".join(changed))
        elif self.outdated and not changed:
            self.keep(made_of)
        else:
            return False
        return True

    def keep(self, made_of: Mapping[str, str]) -> None:
        """Guard as before, by somebody's decision: what runs now is as good as what was learnt."""
        self.made_of = {**self.made_of, **made_of}
        self.outdated, self.reason = False, ""
        self.state = BaselineState.GUARDING

    def relearn(self, reason: str) -> None:
        """Go back to learning and keep what is known; calibration starts anew."""
        self.state, self.reason = BaselineState.LEARNING, reason
        self.calibrations, self.shadow_scores, self.sequences.coverage_log = {}, {}, []
        self.last_new_ns = self.watched = self.breaks = 0

    def to_bytes(self) -> bytes:
        """Return everything it knows. Equal baselines give equal bytes."""
        from detectors import storage  # noqa: PLC0415 - storage builds on this module

        return storage.to_bytes(self)

    @staticmethod
    def from_bytes(data: bytes) -> Baseline:
        """Return the baseline of these bytes; BaselineCorruptError if they are damaged."""
        from detectors import storage  # noqa: PLC0415 - storage builds on this module

        return storage.from_bytes(data)

    def summary(self) -> dict[str, object]:
        """Return what `agent baseline show` prints: plain values, counts per role and kind."""
        return {
            "workload": self.workload,
            "state": str(self.state),
            "reason": self.reason,
            "made_of": dict(sorted(self.made_of.items())),
            "outdated": self.outdated,
            "learned_unix_ns": self.learned_unix_ns,
            "windows": self.windows,
            "phases": sorted(self.repertoire.phases),
            "only_in_phases": {
                phase: sum(phase in phases for phases in self.repertoire.apart.values())
                for phase in sorted(self.repertoire.phases - {Phase.STEADY})
            },
            "coverage": self.sequences.coverage,
            "calibration": {
                channel: {
                    "scores": len(one.scores),
                    "resolution": one.resolution,
                    "stride": one.stride,
                }
                for channel, one in self.calibrations.items()
            },
            "roles": {
                role: {str(kind): len(known) for kind, known in sorted(kinds.items())}
                for role, kinds in sorted(self.repertoire.keys.items())
            },
            "grams": {
                role: len(model.words) for role, model in sorted(self.sequences.models.items())
            },
            "features": [features.NAMES[at] for at in self.resources.columns]
            if self.resources is not None
            else [],
            "refused": self.repertoire.refused,
        }

    def page(self) -> dict[str, object]:
        """Return the summary with every known thing, and what bounds it where something does."""
        known = self.repertoire
        items = [
            {"role": role, "kind": str(kind), "item": key}
            | ({"phases": sorted(only)} if (only := known.apart.get((role, kind, key))) else {})
            | ({"doubted": True} if (role, kind, key) in known.once else {})
            for role, kind, key in sorted(known)
        ]
        return self.summary() | {"items": items}


def _enough(settings: JudgeSettings) -> int:
    """Return the windows with activity that are evidence enough for a shadow."""
    return max(settings.min_windows, MIN_ROWS)


Known = list[tuple[str, ItemKind, str]]


def difference(old: Baseline, new: Baseline) -> tuple[Known, Known]:
    """Return what only `new` knows and what only `old` knows, as role, kind and key."""
    before, after = set(old.repertoire), set(new.repertoire)
    return sorted(after - before), sorted(before - after)
