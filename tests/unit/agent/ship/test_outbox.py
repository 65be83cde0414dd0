"""The outbox: numbered without a break, bounded, and what it gives up is counted."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.ship.outbox import Outbox
from agent.ship.wire import unpack_verdict

LEVELS = ("info", "low", "medium", "high", "critical")


def verdict(number: int, level: str = "low") -> dict[str, Any]:
    return {"id": str(number), "level": level, "summary": "x" * 50}


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    found = Outbox.open(tmp_path / "outbox.db", max_bytes=1 << 20)
    yield found
    found.close()


def numbers(outbox: Outbox) -> list[int]:
    batch = outbox.batch()
    return [number for number, _ in batch.rows] if batch else []


def test_verdicts_leave_in_order_and_stay_until_acknowledged(outbox: Outbox) -> None:
    outbox.put(*[verdict(number) for number in range(5)])
    assert numbers(outbox) == numbers(outbox) == [1, 2, 3, 4, 5]
    assert outbox.acknowledge(3) == 3
    assert numbers(outbox) == [4, 5]
    batch = outbox.batch()
    assert batch
    assert unpack_verdict(batch.rows[0][1]) == verdict(3)


def test_numbers_go_on_after_a_restart_also_of_an_empty_outbox(tmp_path: Path) -> None:
    first = Outbox.open(tmp_path / "o.db", max_bytes=1 << 20)
    first.put(verdict(1), verdict(2))
    first.acknowledge(2)
    first.close()
    second = Outbox.open(tmp_path / "o.db", max_bytes=1 << 20)
    second.put(verdict(3))
    assert (numbers(second), second.epoch, second.acked) == ([3], first.epoch, 2)
    second.close()


def test_a_full_outbox_gives_up_the_oldest_of_the_lowest_level(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "o.db", max_bytes=1 << 20, max_rows=10)
    for number in range(30):
        outbox.put(verdict(number, LEVELS[number % 5]))
    kept = numbers(outbox)
    assert [(number - 1) % 5 for number in kept].count(4) == 6
    assert kept == [n for n in kept if (n - 1) % 5 in {3, 4}]
    assert outbox.dropped == {"info": 6, "low": 6, "medium": 6, "high": 2, "critical": 0}
    assert kept[0] == 5
    assert len(outbox) + sum(outbox.dropped.values()) == 30
    outbox.close()
    again = Outbox.open(tmp_path / "o.db", max_bytes=1 << 20, max_rows=10)
    assert again.dropped["low"] == 6
    again.close()


def test_it_is_bounded_by_bytes_too(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "o.db", max_bytes=1_000)
    outbox.put(*[verdict(number) for number in range(100)])
    assert outbox.bytes <= 1_000
    assert len(outbox) + outbox.dropped["low"] == 100
    outbox.close()


def test_what_is_on_its_way_is_not_given_up(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "o.db", max_bytes=1 << 20, max_rows=3)
    outbox.put(verdict(1), verdict(2), verdict(3))
    assert numbers(outbox) == [1, 2, 3]
    outbox.put(verdict(4, "critical"))
    assert outbox.dropped["critical"] == 1
    assert outbox.acknowledge(3) == 3
    outbox.close()


def test_a_verdict_too_large_for_central_is_counted_not_stuck(outbox: Outbox) -> None:
    outbox.put({"id": "1", "level": "high", "summary": "x" * 70_000}, verdict(2))
    assert outbox.dropped["high"] == 1
    assert len(outbox) == 1


def test_a_full_disk_keeps_verdicts_in_memory_until_there_is_room(outbox: Outbox) -> None:
    outbox.put(verdict(0))
    pages = outbox._connection.execute("PRAGMA page_count").fetchone()[0]
    outbox._connection.execute(f"PRAGMA max_page_count={pages}")
    for number in range(1, 1_200):
        outbox.put(verdict(number))
    assert outbox.dropped["low"] == 1_200 - len(outbox) > 0
    outbox._connection.execute("PRAGMA max_page_count=100000")
    waiting = len(outbox)
    outbox.put()
    total = 0
    while batch := outbox.batch():
        total += outbox.acknowledge(batch.last)
    assert total == waiting


def test_a_burst_that_the_disk_takes_loses_nothing(outbox: Outbox) -> None:
    outbox.put(*[verdict(number) for number in range(3_500)])
    assert len(outbox) == 3_500
    assert sum(outbox.dropped.values()) == 0


def test_a_damaged_outbox_is_set_aside_and_begins_another_epoch(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    first = Outbox.open(path, max_bytes=1 << 20)
    first.put(verdict(1))
    first.close()
    path.write_bytes(b"no database" * 1_000)
    second = Outbox.open(path, max_bytes=1 << 20)
    assert second.set_aside
    assert second.set_aside.name.startswith("o.db.corrupt-")
    assert second.epoch != first.epoch
    second.close()


def test_damage_found_while_it_runs_is_set_aside_too(outbox: Outbox) -> None:
    outbox.put(verdict(1))
    error = sqlite3.DatabaseError("malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    before = outbox.epoch
    outbox.recover(error)
    outbox.put(verdict(2))
    assert outbox.set_aside
    assert (numbers(outbox), outbox.epoch != before) == ([1], True)
