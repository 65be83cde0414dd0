"""Which stack belongs to which deviating call of one workload."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from agent.stacks.symbols import Symbols, Trace
from collectors.sightings import Sighting
from detectors.assessment import Level, NovelItem
from detectors.window import ItemKind

KEPT: Final = 64
MOST_WANTED: Final = 32
NEAR_NS: Final = 1_000_000_000
"""Between a record and its stack: the end of the same call; after vfork(2), of the child's exec."""

_OF: Final = {
    ItemKind.FILE: "EVENT_FILE",
    ItemKind.WRITE: "EVENT_FILE",
    ItemKind.EXEC: "EVENT_EXEC",
    ItemKind.PEER: "EVENT_PEER",
    ItemKind.LISTEN: "EVENT_LISTEN",
    ItemKind.LIBRARY: "EVENT_MAPPING",
    ItemKind.SYSCALL: "EVENT_SYSCALL",
    ItemKind.CAPABILITY: "EVENT_PRIVILEGE",
}


@dataclass(slots=True)
class Caught:
    """One stack as the kernel told it, in two records."""

    sighting: Sighting
    words: tuple[int, ...] = ()
    whole: bool = False


@dataclass(slots=True)
class Catcher:
    """Keeps the newest stacks, and has those of grave calls named while their process lives.

    Attributes:
        traces: By kind, item, process and time.
    """

    symbols: Symbols
    traces: dict[tuple[str, str, int, int], Trace] = field(default_factory=dict)
    _caught: deque[Caught] = field(default_factory=lambda: deque(maxlen=KEPT))
    _wanted: deque[NovelItem] = field(default_factory=lambda: deque(maxlen=MOST_WANTED))

    def take(self, sighting: Sighting) -> None:
        """Take in one record of a stack; the second completes the first."""
        if "words" not in sighting.marks:
            self._caught.append(Caught(sighting))
            return
        for one in reversed(self._caught):
            if one.sighting.status == sighting.status and one.sighting.item == sighting.item:
                one.words, one.whole = sighting.frames, True
                break
        self._match()

    def want(self, novel: Iterable[NovelItem]) -> None:
        """Have the stacks of these named, those already here and those that come yet."""
        grave = [one for one in novel if one.level >= Level.HIGH and one.kind in _OF]
        self._wanted.extend(one for one in grave if _key(one) not in self.traces)
        self._match()

    def _match(self) -> None:
        for novel in list(self._wanted):
            caught = self._of(novel)
            if caught is not None:
                self._wanted.remove(novel)
                sighting = caught.sighting
                self.traces[_key(novel)] = self.symbols.ask(
                    sighting.pid, sighting.frames, caught.words
                )

    def _of(self, novel: NovelItem) -> Caught | None:
        near = [
            one
            for one in self._caught
            if one.whole
            and one.sighting.item == _OF[novel.kind]
            and novel.pid == _actor(one.sighting)
            and abs(one.sighting.time_ns - novel.time_ns) < NEAR_NS
        ]
        return min(near, key=lambda one: abs(one.sighting.time_ns - novel.time_ns), default=None)

    def of(self, novel: NovelItem | None) -> Trace | None:
        """The stack of an item, if one was caught."""
        return None if novel is None else self.traces.get(_key(novel))

    def forget(self) -> None:
        """The window is told: its stacks are done with."""
        self.traces = {}
        self._wanted.clear()


def _actor(sighting: Sighting) -> int:
    """Whose act the stack explains: a program's is the call that made its process."""
    child, _ = sighting.status
    return child if sighting.item == _OF[ItemKind.EXEC] else sighting.pid


def _key(novel: NovelItem) -> tuple[str, str, int, int]:
    return (novel.kind.value, novel.item, novel.pid, novel.time_ns)
