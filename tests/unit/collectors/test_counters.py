"""Differences between two readings of the kernel's counters."""

from io import BytesIO

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from collectors.counters import read_kept, write_kept
from collectors.grams import GRAM, difference

KEYS = st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 5))
COUNTS = st.integers(1, 1000)


def _table(counts: dict[tuple[int, int, int], int]) -> NDArray[np.void]:
    rows = [(*key, count) for key, count in counts.items()]
    table = np.array(rows, GRAM)
    return table[np.lexsort((table["word"], table["role"], table["workload"]))]


def _told(table: NDArray[np.void]) -> dict[tuple[int, int, int], int]:
    return {(int(w), int(r), int(word)): int(n) for w, r, word, n in table.tolist()}


@given(st.dictionaries(KEYS, COUNTS), st.dictionaries(KEYS, COUNTS))
def test_what_grew_is_told_by_how_much(
    before: dict[tuple[int, int, int], int], growth: dict[tuple[int, int, int], int]
) -> None:
    now = {key: before.get(key, 0) + growth.get(key, 0) for key in before | growth}
    assert _told(difference(_table(before), _table(now))) == growth


def test_a_count_that_was_dropped_and_began_anew_is_told_as_it_is() -> None:
    key = (1, 0, 7)
    assert not _told(difference(_table({key: 5}), _table({key: 3})))
    assert _told(difference(_table({}), _table({key: 3}))) == {key: 3}


def test_what_was_kept_is_read_as_it_was() -> None:
    tables = {"totals": np.array([0, 7, 0, 2**63], np.uint64), "losses": np.zeros(3, np.uint64)}
    grams = _table({(1, 0, 7): 5})
    file = BytesIO()
    write_kept(file, {"totals": 11, "losses": 12, "grams": 13}, tables, grams)
    file.seek(0)
    kept = read_kept(file)
    assert all(np.array_equal(kept[name], table) for name, table in tables.items())
    assert np.array_equal(kept["grams"], grams)
    assert [int(kept[f"id.{name}"]) for name in ("totals", "losses", "grams")] == [11, 12, 13]
