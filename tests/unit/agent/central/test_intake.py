"""What central believes of a host's message, and how it places the numbers in it."""

from typing import Any

import pytest

from agent.central.intake import Told, Verdict, read
from agent.central.sequences import Gap, Sequences
from agent.ship.wire import PeerError
from agent.verdict_id import verdict_id


def verdict(**others: object) -> dict[str, Any]:
    return {
        "id": verdict_id(1, "h1", "w", 1),
        "host": "h1",
        "time_ns": 1,
        "workload": "w",
        "level": "high",
        "techniques": ["T1059"],
        **others,
    }


def message(*rows: object, **others: object) -> dict[str, Any]:
    head = {"v": 1, "kind": "verdicts", "host": "h1", "epoch": "e", "acked": 0, "dropped": {}}
    return {**head, "rows": list(rows), **others}


def told(*numbers: int, acked: int = 0, refused: tuple[int, ...] = ()) -> Told:
    last = max((*numbers, *refused), default=0)
    verdicts = tuple(Verdict(number, {}) for number in numbers)
    return Told("h1", "e", acked, last, "{}", verdicts, refused, None)


def test_a_good_verdict_becomes_its_columns() -> None:
    found = read(message([7, verdict()]))
    assert (found.last, found.verdicts[0].sequence) == (7, 7)
    assert found.verdicts[0].columns["level"] == "high"
    assert found.verdicts[0].columns["score"] is None


@pytest.mark.parametrize(
    "bad",
    [
        {"host": "h2"},
        {"id": "x"},
        {"id": None},
        {"level": "worst"},
        {"level": []},
        {"time_ns": -1},
        {"time_ns": 1.5},
        {"workload": ""},
        {"workload": 5},
        {"score": "high"},
        {"score": True},
        {"techniques": "T1"},
        {"p_value": float("nan")},
        {"more": "x" * 300_000},
    ],
)
def test_a_bad_verdict_is_refused_alone(bad: dict[str, object]) -> None:
    found = read(message([1, verdict()], [2, verdict(**bad)], [3, verdict()]))
    assert [one.sequence for one in found.verdicts] == [1, 3]
    assert (found.refused, found.last) == ((2,), 3)


@pytest.mark.parametrize(
    "bad",
    [
        message(),
        message([1]),
        message([2, verdict()], [1, verdict()]),
        message(["1", verdict()]),
        message(*[[number, {}] for number in range(1, 1_100)]),
        message([1, verdict()], host=""),
        message([1, verdict()], epoch="e" * 33),
        message([1, verdict()], acked=-1),
        message([1, verdict()], dropped={"x": 1}),
        message([1, verdict()], dropped={"low": -1}),
        message([1, verdict()], kind="command"),
        message(kind="heartbeat", summary="fine"),
        message(kind="heartbeat", summary={"x": "y" * 40_000}),
    ],
)
def test_what_is_no_message_is_refused_whole(bad: dict[str, Any]) -> None:
    with pytest.raises(PeerError):
        read(bad)


def test_what_was_stored_before_is_not_stored_again() -> None:
    sequences = Sequences()
    assert [one.sequence for one in sequences.place(told(1, 2)).fresh] == [1, 2]
    again = sequences.place(told(1, 2, 3))
    assert ([one.sequence for one in again.fresh], again.repeated) == ([3], 2)
    assert sequences.marks == {("h1", "e"): 3}


@pytest.mark.parametrize(
    ("numbers", "acked", "gaps"),
    [
        ((1, 2, 3), 0, []),
        ((4,), 0, [Gap(1, 3, "dropped")]),
        ((4,), 3, [Gap(1, 3, "elsewhere")]),
        ((6, 9), 2, [Gap(1, 2, "elsewhere"), Gap(3, 5, "dropped"), Gap(7, 8, "dropped")]),
    ],
)
def test_a_missing_number_is_told_with_its_reason(
    numbers: tuple[int, ...], acked: int, gaps: list[Gap]
) -> None:
    assert list(Sequences().place(told(*numbers, acked=acked)).gaps) == gaps


def test_a_refused_number_is_a_gap_and_moves_the_mark() -> None:
    sequences = Sequences()
    assert list(sequences.place(told(1, refused=(2,))).gaps) == [Gap(2, 2, "refused")]
    assert list(sequences.place(told(3)).gaps) == []


def test_each_life_of_an_outbox_counts_for_itself() -> None:
    sequences = Sequences({("h1", "old"): 500})
    assert len(sequences.place(told(1)).fresh) == 1
