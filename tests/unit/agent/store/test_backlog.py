"""The backlog: order is kept, and when it is full the least of it goes first, counted."""

from agent.store.backlog import Backlog


def test_things_come_back_in_the_order_they_came() -> None:
    backlog: Backlog[str] = Backlog(10)
    for thing, rank in (("a", 3), ("b", 0), ("c", 4)):
        backlog.push(thing, rank)
    assert [backlog.pop(), backlog.pop(), backlog.pop()] == [("a", 3), ("b", 0), ("c", 4)]
    assert backlog.pop() is None


def test_a_full_backlog_gives_up_the_oldest_of_the_lowest_level() -> None:
    backlog: Backlog[int] = Backlog(3)
    for number, rank in enumerate((4, 0, 1, 0, 4)):
        backlog.push(number, rank)
    assert backlog.lost == [2, 0, 0, 0, 0]
    assert [backlog.pop() for _ in range(3)] == [(0, 4), (2, 1), (4, 4)]
