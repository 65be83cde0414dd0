"""The table of sequences: each counted, with few and with too many, while room is made in it."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.grams import GramTable
from probes.loader import Sensor
from tests.host.eyes import Eyes

EACH = 9_001
ROUNDS = 5
THREADS = 3
PLAIN = {39, 102, 104, 107, 108, 110, 111, 186}  # what the deed chooses from
NUMBER = 0x1FF
PLACES = 32_768


@pytest.fixture
def own(own_pins: Path, tmp_path: Path) -> Iterator[Eyes]:
    """Eyes over a table that nobody used."""
    sensor = Sensor.open(own_pins)
    yield Eyes(sensor, tmp_path)
    sensor.close()


def of_deed(word: int) -> bool:
    """Whether all seven calls are the deed's."""
    return {(word >> 9 * i & NUMBER) - 1 for i in range(7)} <= PLAIN


def test_what_two_threads_bring_at_once_is_counted_for_both(own: Eyes) -> None:
    """The same words, new each time, in the same order: often at the same moment."""
    seen = own.do("shuffled", 2, EACH)
    counts = [count for word, count in seen.words.items() if of_deed(word)]
    assert sum(counts) == 2 * (EACH - 6)
    assert not [count for count in counts if count % 2]
    assert not seen.losses.total()


def test_a_full_table_loses_no_call_that_it_does_not_tell_of(own: Eyes) -> None:
    """More words than there are places, round after round, while somebody reads."""
    rounds = []
    for seed in range(1, ROUNDS + 1):
        with own.gated("shuffled", THREADS, EACH, seed) as gated:
            gated.tell()
            while gated.process.poll() is None:
                own.seen(gated.number)
                time.sleep(0.02)
        rounds.append(own.seen(gated.number))
    for seen in rounds:
        accounted = seen.words.total() + seen.losses["LOSS_GRAMS_FULL"]
        assert accounted == seen.totals["COUNT_SYSCALLS"] + THREADS + 1  # exits never return
    kept = GramTable(own.sensor.maps, own.sensor.schema)
    assert len(kept.read()) < sum(len(seen.words) for seen in rounds)


def test_where_room_was_made_others_find_a_place(own: Eyes) -> None:
    filled = own.do("shuffled", 1, PLACES - 5_000, 1)
    own.seen(0)  # nothing of it changed: more than half of it leaves
    own.seen(0)  # and its places are free
    others = own.do("shuffled", 1, PLACES // 2, 2)
    assert not filled.losses.total() + others.losses.total()
    assert sum(count for word, count in others.words.items() if of_deed(word)) == PLACES // 2 - 6
