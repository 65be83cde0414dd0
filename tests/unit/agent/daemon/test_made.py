"""A file that a workload made is its own to write again."""

from collections.abc import Callable

from agent.daemon.made import Made
from collectors.sightings import Sighting

See = Callable[..., Sighting]


def test_what_it_made_is_its_own_and_what_was_there_is_not(see: See) -> None:
    made = Made()
    first = see("write", "/m/a", inode=(1, 2), generation=3, marks=frozenset({"create"}))
    again = see("write", "/m/a", inode=(1, 2), generation=3)
    other = see("write", "/m/b", inode=(1, 4), generation=3)
    assert made.mark(first) == first
    assert made.mark(again).marks == {"made"}
    assert made.mark(other) == other


def test_a_number_that_a_later_file_got_again_is_another_file(see: See) -> None:
    made = Made()
    made.mark(see("write", "/m/a", inode=(1, 2), generation=3, marks=frozenset({"create"})))
    later = see("write", "/m/b", inode=(1, 2), generation=4)
    assert made.mark(later) == later


def test_what_it_remembers_is_bounded(see: See) -> None:
    made = Made()
    for number in range(1, 5_000):
        made.mark(see("write", "/m/x", inode=(1, number), marks=frozenset({"create"})))
    assert made.mark(see("write", "/m/x", inode=(1, 1))).marks == frozenset()
    assert made.mark(see("write", "/m/x", inode=(1, 4_999))).marks == {"made"}
