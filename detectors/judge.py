"""One workload's judge: life, novelty, scores and evidence in one place, for the agent's loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from detectors import (
    answered,
    demand,
    explain,
    inputs,
    novelty,
    questions,
    refusals,
    uploads,
)
from detectors.answered import Unanswered
from detectors.assessment import (
    Assessment,
    BaselineState,
    FeatureShare,
    Level,
    NovelItem,
    SurprisingGram,
)
from detectors.baseline import Baseline, Fit
from detectors.demand import Demand
from detectors.drift import Drift
from detectors.eprocess import EProcess, alarm_threshold
from detectors.prior import AttackPrior
from detectors.repertoire import folder_of
from detectors.resources import fit as fit_here
from detectors.sensitive import sensitivity
from detectors.settings import JudgeSettings
from detectors.theft import Departures, Rereads
from detectors.unexplained import HELD, Unexplained
from detectors.window import Item, ItemKind, Phase, Window, is_stranger

TOGETHER_NS: Final = 10_000_000_000
"""Different serious novelties within ten seconds are taken as one act: an attacker's first steps
follow each other within seconds, unrelated accidents seldom do."""

SWEEP_FOLDERS: Final = 8
"""Directories never read from before, within ten seconds: somebody looks around. A model or a
package new to the server lies in one or a few."""

CRASH_BURST: Final = 3
"""Crashes within ten seconds: an exploit that is being fitted to a server kills it now and then."""

MAX_RECENT: Final = 256

MAX_GRAMS: Final = 8
"""Surprising 7-grams an assessment carries."""

FULL_CALIBRATION: Final = 3_600
"""Scored windows kept: an hour at one a second, four hours where every fourth was. With fewer,
numbers alone reach `medium` at most: a short shadow has not seen the ordinary variety of a day,
and a p-value promises nothing about loads it was not calibrated on."""

OVERWHELMING: Final = 1e4
"""Evidence at which numbers alone may be critical, if it also is a hundred times the alarm's."""

_LOADING: Final = float(1 << 20)
"""Bytes per second read beyond the usual: a model is being loaded."""

SERIOUS_SHARE: Final = 0.01
QUESTION_WINDOWS: Final = 900
"""Windows in alarm without a break after which the baseline, not the workload, is in doubt."""


@dataclass(slots=True)
class Judge:
    """Drives one workload's baseline and judges its windows and items.

    Attributes:
        settings: Gates and budget.
        baseline: Its knowledge; replace it to restore one from disk.
        fit: Fits the resource model; pass one that uses a worker process and returns None
            until it is done, since scikit-learn takes seconds to load.
        prior: What attacks look like; None: only what is unusual counts.
        evidence: The running bet.
        phase: Of the latest window; items between windows are judged in it.
        recent: Serious novelties; those within ten seconds add up.
        passing: Peers that did not answer and names asked for, however harmless each is alone.
        alarmed: Windows in alarm without a break.
        departures: How much of its weights new peers were sent.
        unexplained: Work, copies and memory beyond what explains them, and since when.
        drift: Of how unusual its windows are.
        announcing: Whether the next window is to say that the baseline is outdated.
        rereads: How much of its weights it read again.
        demand: What was asked of it in the last windows.
        unanswered: Grave requests whose answer is not known yet.
        settled_ns: What was done until then is settled; see `settle`.
    """

    settings: JudgeSettings
    baseline: Baseline
    fit: Fit = fit_here
    prior: AttackPrior | None = None
    evidence: EProcess = field(init=False)
    phase: Phase = Phase.STEADY
    recent: deque[NovelItem] = field(default_factory=lambda: deque(maxlen=MAX_RECENT))
    passing: deque[NovelItem] = field(default_factory=lambda: deque(maxlen=MAX_RECENT))
    alarmed: int = 0
    unexplained: Unexplained = field(default_factory=Unexplained)
    drift: Drift = field(default_factory=Drift)
    announcing: bool = False
    departures: Departures = field(default_factory=Departures)
    rereads: Rereads = field(default_factory=Rereads)
    demand: Demand = field(default_factory=Demand)
    unanswered: Unanswered = field(default_factory=Unanswered)
    settled_ns: int = 0

    def __post_init__(self) -> None:
        """Bet at the pace a restored baseline was calibrated for."""
        self.evidence = EProcess(self.baseline.bet_stride)
        self.baseline.sequences.prior = self.prior

    def observe(self, window: Window) -> Assessment:
        """Take one window in: learn it or score it, move on in life, and judge it.

        Raises:
            FeatureError: impossible readings; nothing was changed then.
        """
        _ = window.row  # raises before anything changes
        self.phase = window.phase
        state = self.baseline.state
        known = self.unanswered.ripe(window)
        novel = self.assess_novel((*known, *self._unasked(window), *self._asked(window)))
        if state is BaselineState.LEARNING:
            level = self.level_of(novel)
            self.baseline.learn(window)
            self.baseline.advance(window, self.settings, self.fit)
            return self._assessment(state, level, novel)
        left = self.departures.look(window, self.baseline.repertoire, self.settings.theft_percent)
        again = self.rereads.look(window, self.baseline.resources, self.settings.theft_percent)
        novel = tuple(sorted((*left, *again, *novel), key=lambda new: (-new.level, new.time_ns)))
        assessment = self._scored(window, novel, state)
        if self.baseline.advance(window, self.settings, self.fit) is not state:
            self.evidence = EProcess(self.baseline.bet_stride)
        self._remember(novel)
        return self._announced(assessment)

    def settle(self, time_ns: int) -> None:
        """An operator gave the workload back: what was done until then adds to nothing after.

        What a server does on its return (callers that went away, modules that its error path
        loads) would else complete the intrusion that the operator just dealt with.
        """
        self.settled_ns = time_ns

    def compare(self, made_of: Mapping[str, str]) -> bool:
        """Hold what runs against what was learnt; returns whether that changed the state."""
        changed = self.baseline.compare(made_of)
        if changed:
            self.announcing = self.baseline.outdated
            self.evidence = EProcess(self.baseline.bet_stride)
            self.drift.reset()
        return changed

    def _announced(self, assessment: Assessment) -> Assessment:
        """Say once that what runs is not what was learnt, and what is to be decided."""
        if not self.announcing or assessment.level >= Level.MEDIUM:
            return assessment  # graver news comes first; the next calm window says the rest
        self.announcing = False
        words = explain.outdated(self.baseline)
        return replace(assessment, level=Level.MEDIUM, summary=words, announces=True)

    def assess_item(self, item: Item) -> NovelItem | None:
        """Judge one item at once, without waiting for its window. Changes nothing.

        Returns:
            None if the role was seen to do it, or if the baseline still learns and the item is
            nothing that is reported even then.
        """
        new = novelty.assess(item, self.baseline.repertoire, self.phase)
        if new is not None and self.baseline.outdated and not new.sensitive:
            if novelty.is_expected(new.kind, new.marks):
                return replace(new, level=min(new.level, Level.LOW))
            return new
        if new is None or self.baseline.state is not BaselineState.LEARNING or not new.sensitive:
            return new if self.baseline.state is not BaselineState.LEARNING else None
        found = sensitivity(item)
        never_ordinary = found is not None and found.invariant
        if never_ordinary and item.kind is ItemKind.MODEL:
            return new  # a person approved the file; what is learnt has no say in it
        return replace(new, level=Level.HIGH if never_ordinary else Level.LOW)

    def assess_novel(self, items: Iterable[Item]) -> tuple[NovelItem, ...]:
        """Judge several items, most serious first, then oldest. Changes nothing."""
        found = [new for item in items if (new := self.assess_item(item)) is not None]
        found += self._together(found)
        if self.baseline.state is not BaselineState.LEARNING:
            probed = demand.probed(found, self.baseline.repertoire)
            found += [probed] if probed is not None else []
        return tuple(sorted(found, key=lambda new: (-new.level, new.time_ns)))

    def _together(self, found: Sequence[NovelItem]) -> list[NovelItem]:
        """Return what refusals and questions of these and of the last seconds are together."""
        latest = max((new.time_ns for new in found if _adds_up(new)), default=0)
        if not latest or self.baseline.state is BaselineState.LEARNING:
            return []
        passing = (*self._unsettled(self.passing), *found)
        near = [new for new in passing if latest - new.time_ns <= TOGETHER_NS]
        known = self.baseline.repertoire
        return [one for one in (refusals.sweep(near, known), questions.tunnel(near, known)) if one]

    def assess_items(self, items: Sequence[Item]) -> Assessment | None:
        """Judge items at once and remember them, so that what follows within seconds adds up.

        Returns:
            None if nothing is new, or what is new waits for its answer.
        """
        novel = self.assess_novel(answered.at_once(items))
        if not novel:
            return None
        state = self.baseline.state
        level = self.level_of(novel)
        self._remember(novel)
        return self._assessment(state, level, novel)

    def _unsettled(self, novel: Iterable[NovelItem]) -> Iterator[NovelItem]:
        return (new for new in novel if new.time_ns > self.settled_ns)

    def _remember(self, novel: Iterable[NovelItem]) -> None:
        if self.baseline.state is not BaselineState.LEARNING:
            self.recent.extend(new for new in novel if new.level >= Level.MEDIUM)
            self.passing.extend(new for new in novel if _adds_up(new))

    def level_of(self, novel: Sequence[NovelItem]) -> Level:
        """Return the level of items together with those shortly before. Changes nothing.

        A high one and another kind of at least medium within ten seconds are critical; files
        of many places are a search, and high, as is a burst of crashes. What outsiders do is no
        step of the workload, and a drift of what it is asked completes none.
        """
        level = max((new.level for new in novel), default=Level.INFO)
        if self.baseline.state is BaselineState.LEARNING or level < Level.MEDIUM:
            return level
        latest = max(new.time_ns for new in novel)
        near = [
            new
            for new in (*self._unsettled(self.recent), *novel)
            if latest - new.time_ns <= TOGETHER_NS
            and not is_stranger(new.role)
            and not inputs.is_drift(new.item)
        ]
        kinds = {new.kind for new in near if new.level >= Level.MEDIUM}
        if len(kinds) > 1 and any(new.level >= Level.HIGH for new in near):
            return Level.CRITICAL
        folders = {
            folder_of(new.item)
            for new in near
            if new.kind is ItemKind.FILE and new.level >= Level.MEDIUM
        }
        crashes = {(new.pid, new.time_ns) for new in near if "crash" in new.marks}
        burst = len(folders) >= SWEEP_FOLDERS or len(crashes) >= CRASH_BURST
        return max(level, Level.HIGH) if burst else level

    def _scored(
        self, window: Window, novel: tuple[NovelItem, ...], state: BaselineState
    ) -> Assessment:
        scores = self.baseline.scores(window)
        p_values = self.baseline.p_values(scores, window.lost)
        if window.phase is not Phase.STEADY or self.baseline.outdated:
            p_values = {}  # such work was not calibrated; its items are judged all the same
        evidence = self.evidence.update(p_values)
        if state is not BaselineState.SHADOW:  # there the baseline does it, after scoring
            self.baseline.sequences.note(window.grams)
        spent = evidence / alarm_threshold(
            self.settings.false_alarms_per_month, window.length_s * self.evidence.stride
        )
        shares = self._shares(window)
        level = max(
            self.level_of(novel),
            self._statistical(evidence, spent),
            self._invariants(window, shares),
        )
        self._question_if_lasting(spent, p_values)
        found = self._assessment(
            state,
            level,
            novel,
            score=scores.get("sequence"),
            p_value=min(1.0, len(p_values) * min(p_values.values())) if p_values else None,
            e_value=evidence if p_values else None,
            budget_spent=spent,
            features=shares,
            # Nobody is told of an ordinary window, and most are.
            grams=self.baseline.sequences.surprising(window.grams, MAX_GRAMS)
            if level > Level.INFO or self.baseline.sequences.unseen_in(window.grams)
            else (),
        )
        if window.uploads and self._uploads(window, shares):
            found = replace(found, summary=uploads.with_peers(found.summary, window.uploads))
        return replace(found, uploads=window.uploads, likeness=scores.get("likeness"))

    def _statistical(self, evidence: float, spent: float) -> Level:
        """Return what numbers alone are worth: one alarm of the budget is `high`."""
        sizes = [len(one.scores) for one in self.baseline.calibrations.values()]
        if spent < SERIOUS_SHARE or not sizes:
            return Level.INFO
        level = Level.LOW
        if spent >= 1:
            level = Level.CRITICAL if evidence >= OVERWHELMING and spent >= 100 else Level.HIGH  # noqa: PLR2004 - a hundred budgets
        elif spent >= SERIOUS_SHARE * 10:
            level = Level.MEDIUM
        return level if max(sizes) >= FULL_CALIBRATION else min(level, Level.MEDIUM)

    def _invariants(self, window: Window, shares: Sequence[FeatureShare]) -> Level:
        """Return what breaks a limit by itself: an upload beyond the learnt one, a crash."""
        if self._uploads(window, shares):
            return Level.HIGH
        if window.phase is not Phase.STEADY or not window.is_evidence:
            return Level.INFO
        crash = {share.name: share for share in shares}.get("crashes")
        if crash is not None and crash.value > crash.learned_high:
            self.recent.append(_crash(window))
            return Level.MEDIUM
        return Level.INFO

    def _unasked(self, window: Window) -> tuple[Item, ...]:
        """Return, as something new, what has lasted without traffic to explain it.

        Nothing outside the steady state, or while much is read: a model that is loaded anew is
        work that nobody on the network asked for. A window with loss is passed over: it says
        nothing, and excuses nothing of those around it.
        """
        resources = self.baseline.resources
        steady = window.phase is Phase.STEADY
        if resources is None or not steady or self.baseline.state is BaselineState.LEARNING:
            self.unexplained.forget()
            return ()
        if window.lost:
            return ()
        usual = resources.learned_high("read_bytes") or 0.0
        if window.features.get("read_bytes", 0.0) > usual + _LOADING:
            self.unexplained.forget()
            return ()
        highs = {name: resources.learned_high(name) for name in HELD}
        known = {name: high for name, high in highs.items() if high is not None}
        return self.unexplained.look(window, self.baseline.unasked, known)

    def _asked(self, window: Window) -> tuple[Item, ...]:
        """Return, as something new, requests beyond what was learnt; learn them until it guards."""
        self.demand.take(window)
        found = self.demand.items(self.baseline.traffic, window)
        if self.baseline.state in {BaselineState.LEARNING, BaselineState.SHADOW}:
            self.demand.learn(self.baseline.traffic)
            return ()
        return found

    def _shares(self, window: Window) -> tuple[FeatureShare, ...]:
        """What is told of readings: outside the evidence, only an upload is any news."""
        if self.baseline.resources is None or not window.at_work:
            return ()
        shares = self.baseline.resources.shares(window.row)
        return shares if window.is_evidence or self._uploads(window, shares) else ()

    def _uploads(self, window: Window, shares: Sequence[FeatureShare]) -> bool:
        """Tell whether it sends too much, in any phase: what a phase sent while learnt is free."""
        return uploads.exceed(shares, self.baseline.uploads.get(window.phase, 0.0))

    def _question_if_lasting(self, spent: float, p_values: Mapping[str, float]) -> None:
        self.alarmed = self.alarmed + 1 if spent >= 1 else 0
        bet = bool(p_values) and self.evidence.skipped == 0
        drifts = bet and self.drift.update(min(1.0, len(p_values) * min(p_values.values())))
        if self.baseline.state is not BaselineState.GUARDING:
            return
        if self.alarmed >= QUESTION_WINDOWS:
            self.baseline.question("its readings have left the learnt range for good")
        elif drifts:
            self.drift.reset()
            self.baseline.question("its readings have drifted to the edge of the learnt range")

    def _assessment(  # noqa: PLR0913 - the fields of an assessment
        self,
        state: BaselineState,
        level: Level,
        novel: tuple[NovelItem, ...],
        *,
        score: float | None = None,
        p_value: float | None = None,
        e_value: float | None = None,
        budget_spent: float = 0.0,
        features: tuple[FeatureShare, ...] = (),
        grams: tuple[SurprisingGram, ...] = (),
    ) -> Assessment:
        return Assessment(
            state,
            level,
            score,
            p_value,
            e_value,
            budget_spent,
            features,
            novel,
            grams,
            explain.techniques(novel),
            explain.summary(self.baseline, level, novel, features, grams),
        )


def _adds_up(new: NovelItem) -> bool:
    return refusals.is_refusal(new.item) or questions.is_question(new.item)


def _crash(window: Window) -> NovelItem:
    """Stand for a crash among recent novelties: what follows a crash weighs more."""
    return NovelItem(
        ItemKind.PROBE,
        "crash",
        sensitive=False,
        count=1,
        pid=0,
        role="main",
        reason="a process of it crashed",
        techniques=("T1499",),
        time_ns=window.end_ns,
        exe="",
        level=Level.MEDIUM,
    )
