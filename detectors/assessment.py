"""What the detectors hand to the agent: how unusual a window was, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from detectors.window import Item, ItemKind, Upload


class BaselineState(StrEnum):
    """Where a baseline is in its life."""

    LEARNING = "learning"
    SHADOW = "shadow"
    GUARDING = "guarding"
    QUESTIONED = "questioned"


class Level(IntEnum):
    """How serious. Ordered."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        """The word for it: info, low, medium, high or critical."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class FeatureShare:
    """One feature's part in a resource score, against its learned range. Shares add up to 1."""

    name: str
    unit: str
    value: float
    learned_low: float
    learned_high: float
    share: float


@dataclass(frozen=True, slots=True)
class NovelItem:
    """Something this role was never seen to do, and what that means.

    Attributes:
        kind: What sort of thing.
        item: As seen, not generalised.
        sensitive: Whether it belongs to a class that is dangerous by itself.
        count: How often.
        pid: Who.
        role: As which role.
        reason: A plain sentence fragment: why it matters.
        techniques: ATT&CK and ATLAS ids.
        time_ns: CLOCK_MONOTONIC.
        exe: Executable of the process that did it.
        level: How serious it is alone.
        marks: Of the item; some make it another thing to be learnt.
        other: Of the item: the other name, mode, owner or length.
        host_path: Of the item: where the host has it, if elsewhere.
    """

    kind: ItemKind
    item: str
    sensitive: bool
    count: int
    pid: int
    role: str
    reason: str
    techniques: tuple[str, ...]
    time_ns: int
    exe: str
    level: Level = Level.INFO
    marks: frozenset[str] = frozenset()
    other: str = ""
    host_path: str = ""

    def as_item(self) -> Item:
        """Return what was seen, without what it means."""
        return Item(
            self.kind,
            self.item,
            self.role,
            self.time_ns,
            self.pid,
            self.exe,
            self.marks,
            self.count,
            self.other,
            self.host_path,
        )


@dataclass(frozen=True, slots=True)
class SurprisingGram:
    """Seven calls, oldest first, that this role hardly ever or never made in this order."""

    role: str
    calls: tuple[str, ...]
    count: int
    surprisal_bits: float
    seen: bool


@dataclass(frozen=True, slots=True)
class Assessment:
    """One window, or one burst of items, judged. `None` means "not known", never 0.

    Attributes:
        state: Life of the baseline that judged.
        level: How serious, everything considered.
        score: Surprise of the call sequences, bits per call.
        p_value: Share of ordinary windows at least as unusual; never below 1/(n+1).
        e_value: Evidence gathered so far against "all is as learned".
        budget_spent: `e_value` over the value that costs one false alarm of the budget.
        features: Largest share first.
        novel: Most serious first.
        grams: Most surprising first.
        uploads: The peers it sent most to on its own connections, most first.
        techniques: ATT&CK and ATLAS ids, without repetition.
        summary: One sentence for a person.
        likeness: Bits by which attacks are likelier to make its new call sequences than it is.
        announces: Whether it is told however grave the one before was: a decision is asked for.
    """

    state: BaselineState
    level: Level
    score: float | None
    p_value: float | None
    e_value: float | None
    budget_spent: float
    features: tuple[FeatureShare, ...]
    novel: tuple[NovelItem, ...]
    grams: tuple[SurprisingGram, ...]
    techniques: tuple[str, ...]
    summary: str
    uploads: tuple[Upload, ...] = ()
    likeness: float | None = None
    announces: bool = False
