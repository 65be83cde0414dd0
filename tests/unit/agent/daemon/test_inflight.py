"""What was read and not judged is there for the next daemon, and nothing else is."""

from pathlib import Path

import numpy as np
import pytest

from agent.daemon.inflight import MOST, InFlight

RECORDS = np.arange(3 * 8, dtype=np.uint8).reshape(3, 8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "in-flight"


def test_a_killed_daemon_leaves_what_it_did_not_judge(path: Path) -> None:
    first = InFlight(path, 7, 8)
    first.add(RECORDS[:1])
    first.add(RECORDS[1:])
    left = InFlight(path, 9, 8)
    assert left.ring == 7
    assert np.array_equal(left.found, RECORDS)


def test_what_was_judged_is_not_left(path: Path) -> None:
    first = InFlight(path, 7, 8)
    first.add(RECORDS)
    first.clear()
    left = InFlight(path, 7, 8)
    assert (left.ring, len(left.found), left.beyond) == (0, 0, 0)


def test_what_found_no_room_is_counted(path: Path) -> None:
    first = InFlight(path, 7, 8)
    first.add(np.zeros((MOST - 1, 8), np.uint8))
    first.add(RECORDS)
    left = InFlight(path, 7, 8)
    assert (len(left.found), left.beyond) == (MOST, 2)


def test_records_of_another_length_are_not_taken_for_ours(path: Path) -> None:
    InFlight(path, 7, 8).add(RECORDS)
    assert len(InFlight(path, 7, 16).found) == 0
