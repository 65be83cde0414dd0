"""How a probe's events are added up, and when they are too many."""

from agent.operator.tally import FLOOD_S, ITEM_CHARACTERS, MOST_GROUPS, Tally, item_text

S = 1_000_000_000


def test_equal_events_of_one_process_become_one_row() -> None:
    tally = Tally(100)
    for at in range(3):
        tally.add(7, "tls: direction=read", at, {"bytes": 10})
    tally.add(8, "tls: direction=read", 9, {"bytes": 1})
    assert tally.take() == (
        4,
        0,
        [
            [7, 0, "tls: direction=read", 3, {"bytes": 30}],
            [8, 9, "tls: direction=read", 1, {"bytes": 1}],
        ],
    )
    assert tally.take() == (0, 0, [])


def test_what_finds_no_room_is_counted_as_lost() -> None:
    tally = Tally(100)
    for n in range(MOST_GROUPS + 5):
        tally.add(1, str(n), 0, {})
    tally.lose(2)
    events, lost, rows = tally.take()
    assert (events, lost, len(rows)) == (MOST_GROUPS + 7, 7, MOST_GROUPS)


def test_a_rate_passed_for_some_seconds_is_a_flood() -> None:
    tally, total = Tally(100), 0
    for second in range(1, 1 + FLOOD_S):
        assert not tally.flooded(second * S, total)
        total += 101
    assert tally.flooded((1 + FLOOD_S) * S, total)


def test_a_burst_between_quiet_seconds_is_no_flood() -> None:
    tally, total = Tally(100), 0
    for second in range(1, 20):
        assert not tally.flooded(second * S, total)
        total += 500 if second % 3 == 0 else 1


def test_a_text_ends_at_its_nul_and_stays_printable_and_short() -> None:
    assert item_text("p", [("path", b"/a\n\xff\0rest"), ("n", 3)]) == "p: path=/a\\x0a\\xff n=3"
    assert len(item_text("p", [("path", b"x" * 999)])) == ITEM_CHARACTERS
