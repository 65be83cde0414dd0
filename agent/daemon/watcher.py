"""One workload under watch: from what it does, at once and by windows, to verdicts and steps."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from agent.config.schema import Settings
from agent.daemon import reflex_verdicts
from agent.daemon.familiar import Familiar
from agent.daemon.hands import Action, Hands, Rehearsed, unanswered
from agent.daemon.images import Images
from agent.daemon.items import item_of
from agent.daemon.lineage import Lineage
from agent.daemon.made import Made
from agent.daemon.makeup import EXECUTABLE, MOST_MODELS, Builds, makeup
from agent.daemon.phases import WEIGHTS, Phases, is_starting
from agent.daemon.registry import Found
from agent.daemon.telling import Telling
from agent.daemon.verdicts import Context, Origin, around, protagonist, trigger, verdict
from agent.recording.tap import Tap
from agent.response.containment import ProcessId, Step, Target
from agent.response.limits import steps_by_level
from agent.response.policy import Decision, Evidence, decide
from agent.response.processes import read_process
from agent.stacks.catcher import Catcher
from collectors.memory import MemoryReader
from collectors.models.artifacts import is_weights
from collectors.own_cgroup import OwnCgroup
from collectors.processes import Process
from collectors.sightings import Sighting
from detectors.assessment import Assessment, BaselineState, Level, NovelItem
from detectors.attempts import is_attempt
from detectors.baseline import Baseline
from detectors.changes import MODEL_FILE
from detectors.judge import Judge
from detectors.sensitive import sensitivity
from detectors.settings import JudgeSettings
from detectors.window import STARTING, Item, ItemKind, Phase, Window, is_stranger

RECENT: Final = 256
"""Sightings kept for the records around a verdict."""

_MOST_ROLES: Final = 4096
"""Processes whose role is remembered, as many as `Lineage` remembers."""

_MOST_STEPS: Final = 8
"""Up the tree, from a program to the worker that had it run."""

_USES: Final = frozenset({ItemKind.FILE, ItemKind.MODEL, ItemKind.LIBRARY})

Tell = Callable[[dict[str, Any]], None]


@dataclass(slots=True)
class Watcher:
    """What the agent knows of one workload.

    Attributes:
        counts: Verdicts told, by level.
        readings: Of the latest window.
        tolerated: Processes that an operator let live at a release, and their children: what they
            did before is told again and not acted on again. The server itself is not among them.
        released_ns: When, CLOCK_MONOTONIC: a window that closes later holds acts from before.
        made_of: What the server is made of, by the latest look.
        weights: Sizes in bytes of the weights that it opened, by device and inode.
        last: The latest verdict told, in short; empty before the first.
        answers: What the kernel answered by itself in this window.
        fresh: First-seen keys of what was new and is not learned: the kernel is to tell it again.
        familiar: Peers that say little.
    """

    found: Found
    judge: Judge
    settings: Settings
    hands: Hands
    lineage: Lineage
    origin: Origin
    tell: Tell
    start_ns: int
    tap: Tap
    stacks: Catcher
    counts: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    summarised: int = 0
    memory: MemoryReader = field(default_factory=MemoryReader)
    cgroup: OwnCgroup = field(default_factory=OwnCgroup)
    images: Images = field(default_factory=Images)
    made_of: Mapping[str, str] = field(default_factory=dict)
    readings: Mapping[str, float] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    fresh: list[bytes] = field(default_factory=list)
    recent: deque[Sighting] = field(default_factory=lambda: deque(maxlen=RECENT))
    weights: dict[tuple[int, int], int] = field(default_factory=dict)
    tolerated: set[int] = field(default_factory=set)
    last: dict[str, Any] = field(default_factory=dict)
    released_ns: int = 0
    action: Action | Rehearsed | None = None
    assessment: Assessment | None = None
    _roles: dict[int, str] = field(default_factory=dict)
    _models: set[str] = field(default_factory=set)
    _compared: tuple[int, int] = (0, 0)
    _builds: Builds = field(default_factory=dict)
    _made: Made = field(default_factory=Made)
    _grave: list[NovelItem] = field(default_factory=list)
    telling: Telling = field(default_factory=Telling)
    answers: list[Sighting] = field(default_factory=list)
    repeats: reflex_verdicts.Repeats = field(default_factory=reflex_verdicts.Repeats)
    phases: Phases = field(default_factory=Phases)
    familiar: Familiar = field(default_factory=Familiar)

    @property
    def respond(self) -> Step:
        """The highest step the operator allows here."""
        rules = (w.respond for w in self.settings.workload if w.name == self.found.name)
        return Step.from_label(next((r for r in rules if r), self.settings.agent.respond))

    @property
    def dry_run(self) -> bool:
        """Whether steps are shown and not taken here."""
        rules = (w.dry_run for w in self.settings.workload if w.name == self.found.name)
        return next((r for r in rules if r is not None), self.settings.response.dry_run)

    @property
    def reflex(self) -> tuple[str, ...]:
        """What the kernel may answer by itself here."""
        rules = (w.reflex for w in self.settings.workload if w.name == self.found.name)
        return next(rules, ())

    def see(self, sightings: Iterable[Sighting], role_of: Callable[[int], str]) -> None:
        """Take in what the kernel just told, and act at once where it is grave."""
        items: list[Item] = []
        for sighting in sightings:
            if sighting.kind == "stack":
                self.stacks.take(sighting)
            else:
                self._take(self._made.mark(sighting), role_of, items)
        self.items += items
        if not items:
            return
        self.tap.items(self, items)
        assessment = self.judge.assess_items(items)
        if assessment is not None:
            if self.held():
                # Its last acts before it stood still.
                self._grave = [*self._grave, *assessment.novel][-RECENT:]
            self._consider(assessment, 0)
            self.stacks.want(assessment.novel)  # to explain can wait for the act

    def _take(self, sighting: Sighting, role_of: Callable[[int], str], items: list[Item]) -> None:
        """Remember one sighting, and add what is new about it to `items`."""
        self.lineage.learn(sighting)
        self.recent.append(sighting)
        if sighting.kind == "file" and sighting.size and is_weights(sighting.item):
            self.weights[sighting.inode] = sighting.size
        if sighting.ppid in self.tolerated:
            self.tolerated.add(sighting.pid)
        item = item_of(sighting, role_of(sighting.role), self.lineage)
        if reflex_verdicts.is_reflex(sighting):
            self._answer(sighting)
            if item is not None and _told(item, (*self.items, *items)):
                return  # done, and told as such, before it was stopped
        if item is None:
            return
        item = self.familiar.mark(self._dated(item, sighting.ppid))
        items.append(item)
        self._roles[item.pid] = item.role
        self._note_model(item)
        if sighting.key:
            self._note_key(sighting, item)

    def _answer(self, sighting: Sighting) -> None:
        """Note what the kernel did, and list whom it stopped, so that a release finds them."""
        self.answers.append(sighting)
        self.fresh.append(sighting.key)
        if reflex_verdicts.outcome(sighting) != "stopped":
            return
        verdict = self.origin.id(self.start_ns)
        words = f"{reflex_verdicts.act(sighting)} {sighting.item} was not learnt"
        listed = self.hands.stopped(self.target(), sighting.time_ns, verdict, words)
        self.action = self.action or listed

    def knows(self, sighting: Sighting, role_of: Callable[[int], str]) -> bool:
        """Whether this is part of what was learned."""
        item = item_of(sighting, role_of(sighting.role), self.lineage)
        return item is not None and self.judge.baseline.repertoire.knows(item)

    def ordinary(self, role_of: Callable[[int], str], sighting: Sighting) -> bool:
        """Whether a sighting is nothing that matters, by what was learned."""
        item = item_of(sighting, role_of(sighting.role), self.lineage)
        new = None if item is None else self.judge.assess_item(item)
        return new is None or new.level < Level.MEDIUM

    def _dated(self, item: Item, ppid: int) -> Item:
        """Mark what is done in a start-up: a window may hold its end and what follows.

        Of a worker's own start only what that makes ordinary.
        """
        if self.judge.phase is Phase.STARTUP and not is_stranger(item.role):
            return replace(item, marks=item.marks | {STARTING})
        known = self.judge.baseline.repertoire
        if not known.phases_of(item) and not known.doubts(item):
            return item
        worker = self._image_of(ppid if item.kind is ItemKind.EXEC else item.pid)
        if not is_starting(worker, self.found.roots):
            return item
        return replace(item, marks=item.marks | {STARTING})

    def _image_of(self, pid: int) -> int:
        """The nearest process from this one up that runs the server's own program; 0 if none."""
        images = {self.lineage.find(root).exe for root in self.found.roots}
        for _ in range(_MOST_STEPS):
            person = self.lineage.find(pid)
            if person.exe in images:
                return pid
            pid = person.ppid
        return 0

    def phase_of(self, window: Window) -> Phase:
        """Where in its life the server is at the end of this window."""
        model = self.judge.baseline.resources
        highs = [0.0 if model is None else model.learned_high(name) or 0.0 for name in WEIGHTS]
        return self.phases.of(window, self.found, sum(highs), held=self.held())

    def _note_model(self, item: Item) -> None:
        """Models that it learns with are part of what it is made of."""
        if self.judge.baseline.state is not BaselineState.LEARNING or is_stranger(item.role):
            return
        used = item.kind in _USES and not is_attempt(item.marks)
        is_model = used and MODEL_FILE.search(item.item) is not None
        if is_model and len(self._models) < MOST_MODELS:
            self._models.add(item.item)

    def _note_key(self, sighting: Sighting, item: Item) -> None:
        """The kernel tells a thing once; what is not learned, or not for all phases, each time."""
        baseline = self.judge.baseline
        if baseline.state is BaselineState.LEARNING:
            bound = sensitivity(item) is not None
        else:
            bound = self.judge.assess_item(item) is not None
        known = baseline.repertoire
        if bound or known.phases_of(item) or known.doubts(item):
            self.fresh.append(sighting.key)

    def close(self, window: Window, losses: dict[str, int]) -> Assessment:
        """Judge a finished window and tell what is worth telling."""
        self.items, self.readings = [], window.features
        self.lost += window.lost
        self.summarised += window.summarised
        self.tap.window(self, window)
        assessment = self.judge.observe(window)
        decision = self._consider(assessment, window.lost)
        answers, self.answers = self.answers, []
        if answers:
            news = self.repeats.news(answers, window.end_ns)
            assessment = reflex_verdicts.judged(assessment, answers, news=news)
        self.assessment = assessment
        acted = self.action is not None
        self.tap.judged(self.found.name, self.judge.baseline.state, acted=acted)
        if self.telling.worth(assessment, window, acted=acted):
            self._tell(window, assessment, decision, losses, answers)
        self.action = None
        self.stacks.forget()
        if len(self._roles) > _MOST_ROLES:
            self._roles = {pid: self._roles[pid] for pid in self._roles.keys() & self.found.pids}
        self.start_ns = window.end_ns
        return assessment

    def _consider(self, assessment: Assessment, lost: int) -> Decision:
        """Decide on a step, and begin it unless one as high is under way or standing."""
        decision = self._decide(assessment, lost)
        if decision.step >= Step.LIMIT:
            left = self._decide(self._not_released(assessment), lost)
            if left.step < decision.step:
                known = "an operator released the workload after the same"
                decision = Decision(left.step, decision.wanted, known)
        if decision.step < Step.LIMIT or self.hands.standing(self.found.id) >= decision.step:
            return decision
        verdict = self.origin.id(self.start_ns)
        if self.dry_run:
            self.action = self.hands.rehearse(self.target(), decision, verdict)
            return decision
        self._grave = [*self._grave, *assessment.novel][-RECENT:]
        first = trigger(item for item in assessment.novel if item.time_ns > self.released_ns)
        since_ns = first.time_ns if first else self.start_ns
        self.action = self.hands.begin(
            self.target(), decision, since_ns, verdict, assessment.summary
        )
        return decision

    def _decide(self, assessment: Assessment, lost: int) -> Decision:
        return decide(
            Evidence(
                permitted=self.respond,
                level=_own_level(assessment),
                state=assessment.state,
                lost=lost,
                sensitive=any(item.sensitive for item in assessment.novel),
                breaker_open=self.hands.breaker_open,
                steps=steps_by_level(self.settings, self.found.name),
            )
        )

    def _not_released(self, assessment: Assessment) -> Assessment:
        """What is left to act on: a window may hold the end of what was released, and more."""
        known = {(item.kind, item.item) for item in self._grave}
        left = tuple(
            item
            for item in assessment.novel
            if item.time_ns > self.released_ns
            and not (item.pid in self.tolerated and (item.kind, item.item) in known)
        )
        if all(item.level < Level.MEDIUM for item in set(assessment.novel) - set(left)):
            return assessment
        level = min(assessment.level, max(Level.LOW, self.judge.level_of(left)))
        return replace(assessment, novel=left, level=level)

    def release(self, children: Iterable[int], now_ns: int) -> None:
        """An operator gives the workload back, at this time, with these unknown children alive."""
        self.tolerated, self.released_ns = set(children), now_ns
        self.judge.settle(now_ns)
        self.tap.settled(self.found.name, now_ns)
        self.repeats = reflex_verdicts.Repeats()
        self.telling = Telling()  # what is repeated after a release is news to whoever released

    def reconfigure(self, settings: Settings, judging: JudgeSettings) -> None:
        """Take other settings from now on; nothing learned is lost."""
        self.settings = settings
        self.judge.settings = judging
        self.tap.settings(self.found.name, judging)

    def replace_baseline(self, baseline: Baseline) -> None:
        """Judge by another baseline from now on; what was recent is forgotten."""
        self.judge = Judge(self.judge.settings, baseline, self.judge.fit, self.judge.prior)
        self.items, self.fresh = [], []
        self._models = set(baseline.made_of) or self._models
        self.tap.judging(self)

    def approve(self, items: Sequence[Item]) -> int:
        """Take items in as normal, by an operator's decision. Returns how many were new."""
        self.tap.approved(self.found.name, items)
        self.judge.evidence.reset()
        return self.judge.baseline.approve(items)

    def compare(self, root: Process) -> bool:
        """Hold what was started against what was learned; returns whether the state changed.

        Once in the life of a process: a model that is changed below a running server is an attack
        or a deploy half done, and must excuse nothing that the server does.
        """
        baseline = self.judge.baseline
        learning = baseline.state is BaselineState.LEARNING
        if self._compared == root.identity and not learning:
            return False
        self._compared = root.identity
        models = sorted((self._models | baseline.made_of.keys()) - {EXECUTABLE})
        self.made_of = makeup(root, models, self._builds)
        noted = baseline.made_of
        changed = self.judge.compare(self.made_of)
        if changed:
            self.tap.compared(self.found.name, self.made_of)
        elif baseline.made_of != noted:
            self.tap.noted(self.found.name, baseline)
        return changed

    def keep(self) -> bool:
        """Guard by the old baseline, by an operator's decision. Returns whether one was asked."""
        asked = self.judge.baseline.outdated
        if asked:
            self.tap.kept(self.found.name, self.made_of)
            self.judge.baseline.keep(self.made_of)
        return asked

    def target(self) -> Target:
        """What response acts on; the kernel's list of members names the rest."""
        roots = (_identity(pid) for pid in self.found.roots)
        return Target(self.found.name, self.found.id, tuple(r for r in roots if r is not None))

    def held(self) -> bool:
        """Whether the workload is contained now."""
        return self.hands.standing(self.found.id) >= Step.CONTAIN

    def _role_of(self, pid: int, shown: NovelItem | None) -> str:
        """As which role a process was last seen to do something; "" for who is none of its own."""
        if shown is not None and pid == shown.pid:
            return shown.role
        return self._roles.get(pid, "main" if pid in self.found.roots else "")

    def _tell(
        self,
        window: Window,
        assessment: Assessment,
        decision: Decision,
        losses: dict[str, int],
        answers: Sequence[Sighting] = (),
    ) -> None:
        self.counts[assessment.level.label] += 1
        first, shown = trigger(assessment.novel), protagonist(assessment.novel)
        pid = shown.pid if shown else next(iter(self.found.roots), 0)
        ppid = next((s.ppid for s in self.recent if s.pid == pid), 0)
        moment = first.time_ns if first else window.end_ns
        process = self.lineage.describe(pid, ppid)
        for each in (process, *process["ancestry"]):
            if role := self._role_of(each["pid"], shown):
                each["role"] = role
        records = around(self.recent, moment)
        baseline = self.judge.baseline.summary()
        action, stack, told = self.action, self.stacks.of(first), False

        def finish() -> None:
            nonlocal told
            if told or (action and not action.future.done()) or (stack and not stack.done):
                return  # whichever ends last calls again
            told = True
            response = action.told() if action is not None else unanswered(decision)
            if answers:
                name, told_as = self.found.name, self.origin.id(window.start_ns)
                response = reflex_verdicts.response(
                    response, answers, workload=name, verdict=told_as
                )
            context = Context(process, response, records, baseline, losses, stack)
            told_of = verdict(self.origin, window, assessment, context)
            self.last = {key: told_of[key] for key in ("id", "level", "time_ns", "summary")}
            self.tell(told_of)

        for pending in (action, stack):
            if pending is not None:
                pending.then.append(finish)
        finish()


def _told(item: Item, items: Iterable[Item]) -> bool:
    return any((it.kind, it.item, it.pid) == (item.kind, item.item, item.pid) for it in items)


def _own_level(assessment: Assessment) -> Level:
    """What the workload itself earned: holding it stops nobody outside who opens its files."""
    outside = max((n.level for n in assessment.novel if is_stranger(n.role)), default=Level.INFO)
    own = max((n.level for n in assessment.novel if not is_stranger(n.role)), default=Level.INFO)
    if assessment.level > outside or own >= outside:
        return assessment.level
    return max(own, min(outside, Level.MEDIUM))


def _identity(pid: int) -> ProcessId | None:
    process = read_process(pid)
    return None if process is None else process.id


def judge_settings(settings: Settings, name: str) -> JudgeSettings:
    """Gates and budget of one workload: its own where given, else the general ones."""
    rule = next((w for w in settings.workload if w.name == name), None)
    learning = (rule.learning if rule else None) or settings.learning
    budget = rule.false_alarms_per_month if rule else None
    return JudgeSettings(
        learning.min_windows,
        learning.quiet_s,
        learning.shadow_s,
        budget or settings.budget.false_alarms_per_month,
        theft_percent=settings.models.theft_percent,
    )
