"""The committed instruction counts: read, written, and what counts as growth."""

from tests.vm.counts import Counts

TABLE = """# a comment
program                     6.1     6.12
on_exec                    8000     9000
on_ring_submit                -     1013
"""


def test_a_table_is_read_by_series() -> None:
    counts = Counts.parse(TABLE)
    assert counts.by_series == {
        "6.1": {"on_exec": 8000},
        "6.12": {"on_exec": 9000, "on_ring_submit": 1013},
    }


def test_what_is_written_reads_the_same() -> None:
    counts = Counts.parse(TABLE)
    assert Counts.parse(counts.text()) == counts


def test_an_empty_table_knows_nothing() -> None:
    assert Counts.parse("").grown("6.1", "on_exec", 10**6) is None


def test_a_quarter_more_is_growth_and_less_is_not() -> None:
    counts = Counts.parse(TABLE)
    assert counts.grown("6.1", "on_exec", 10_000) is None
    assert counts.grown("6.1", "on_exec", 10_001) == 8000


def test_a_small_program_may_gain_a_field() -> None:
    counts = Counts.parse(TABLE)
    assert counts.grown("6.12", "on_ring_submit", 1513) is None
    assert counts.grown("6.12", "on_ring_submit", 1514) == 1013


def test_a_new_program_has_not_grown() -> None:
    assert Counts.parse(TABLE).grown("6.1", "on_ring_submit", 5000) is None
