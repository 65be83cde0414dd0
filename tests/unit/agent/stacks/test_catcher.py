"""Which stack belongs to which call."""

from typing import Any

import pytest

from agent.stacks.catcher import NEAR_NS, Catcher
from agent.stacks.symbols import Trace
from collectors.sightings import Sighting
from detectors.assessment import Level, NovelItem
from detectors.window import ItemKind


class Symbols:
    """Remembers what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, tuple[int, ...], tuple[int, ...]]] = []

    def ask(self, pid: int, chain: tuple[int, ...], words: tuple[int, ...]) -> Trace:
        self.asked.append((pid, chain, words))
        return Trace([{"address": chain[0]}], None, 0.0)  # type: ignore[arg-type]


@pytest.fixture
def symbols() -> Symbols:
    return Symbols()


@pytest.fixture
def catcher(symbols: Symbols) -> Catcher:
    return Catcher(symbols)  # type: ignore[arg-type]


def stack(of: str, pid: int, time_ns: int, *, child: int = 0, chain: int = 1) -> list[Sighting]:
    def make(**more: Any) -> Sighting:  # noqa: ANN401 - fields of Sighting
        return Sighting(
            "stack", of, 1, 0, time_ns, pid, 1, 0, 0, 0, "", status=(child, pid), **more
        )

    return [make(frames=(chain,)), make(frames=(9, 9), marks=frozenset({"words"}))]


def novel(kind: ItemKind, pid: int, time_ns: int, level: Level = Level.HIGH) -> NovelItem:
    return NovelItem(
        kind, "x", sensitive=False, count=1, pid=pid, role="main", reason="", techniques=(),
        time_ns=time_ns, exe="", level=level,
    )  # fmt: skip


def test_a_grave_call_gets_the_stack_that_follows_its_record(
    catcher: Catcher, symbols: Symbols
) -> None:
    item = novel(ItemKind.FILE, 10, 100)
    catcher.want([item])
    for part in stack("EVENT_FILE", 10, 101, chain=77):
        catcher.take(part)
    assert symbols.asked == [(10, (77,), (9, 9))]
    trace = catcher.of(item)
    assert trace is not None
    assert trace.frames == [{"address": 77}]


def test_a_stack_that_came_with_its_record_is_found_afterwards(
    catcher: Catcher, symbols: Symbols
) -> None:
    for at, chain in ((50, 1), (101, 2), (300, 3)):
        for part in stack("EVENT_FILE", 10, at, chain=chain):
            catcher.take(part)
    catcher.want([novel(ItemKind.FILE, 10, 100)])
    assert [chain for _, chain, _ in symbols.asked] == [(2,)]


def test_a_new_programs_stack_is_of_the_call_that_made_its_process(
    catcher: Catcher, symbols: Symbols
) -> None:
    for part in stack("EVENT_EXEC", 10, 90, child=11):
        catcher.take(part)
    catcher.want([novel(ItemKind.EXEC, 11, 100)])
    assert [pid for pid, _, _ in symbols.asked] == [10]


@pytest.mark.parametrize(
    "item",
    [
        novel(ItemKind.FILE, 10, 100, Level.MEDIUM),
        novel(ItemKind.FILE, 12, 100),
        novel(ItemKind.PEER, 10, 100),
        novel(ItemKind.FILE, 10, 101 + NEAR_NS),
        novel(ItemKind.SEQUENCE, 10, 100),
    ],
    ids=["not-grave", "other-process", "other-kind", "long-after", "no-call"],
)
def test_no_stack_is_given_to_what_it_does_not_belong_to(
    catcher: Catcher, symbols: Symbols, item: NovelItem
) -> None:
    for part in stack("EVENT_FILE", 10, 101):
        catcher.take(part)
    catcher.want([item])
    assert symbols.asked == []
    assert catcher.of(item) is None


def test_a_told_window_leaves_nothing_behind(catcher: Catcher) -> None:
    item = novel(ItemKind.FILE, 10, 100)
    catcher.want([item])
    catcher.forget()
    for part in stack("EVENT_FILE", 10, 101):
        catcher.take(part)
    assert catcher.of(item) is None
