"""The local store: what was concluded is found again, proved unchanged, and survives damage."""

import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from agent.store import (
    AmbiguousVerdictError,
    NoStoreError,
    Store,
    StoreUnreadableError,
    UnknownVerdictError,
)
from agent.verdict_id import is_verdict_id, verdict_id


def verdict(number: int, *, level: str = "low", workload: str = "embedder") -> dict[str, Any]:
    time_ns = 1_700_000_000_000_000_000 + number * 1_000_000_000
    return {
        "id": verdict_id(time_ns, "h1", workload, number),
        "host": "h1",
        "time_ns": time_ns,
        "workload": workload,
        "level": level,
        "summary": f"verdict {number}",
        "score": float("nan"),
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


def test_a_verdict_is_found_again_as_it_was_with_unknown_numbers_as_null(path: Path) -> None:
    with Store.open(path) as store:
        store.append_verdict(verdict(1))
        assert store.verdicts() == [{**verdict(1), "score": None}]


def test_verdicts_are_chosen_by_time_workload_and_level(path: Path) -> None:
    with Store.open(path) as store:
        for number, level in enumerate(("info", "low", "medium", "high", "critical")):
            store.append_verdict(verdict(number, level=level))
        store.append_verdict(verdict(9, workload="other", level="high"))
        found = store.verdicts(min_level="medium", workload="embedder")
        assert [one["level"] for one in found] == ["medium", "high", "critical"]
        assert len(store.verdicts(since_ns=verdict(4)["time_ns"])) == 2
        assert [one["workload"] for one in store.verdicts(limit=1)] == ["other"]


def test_the_same_verdict_twice_is_kept_once(path: Path) -> None:
    with Store.open(path) as store:
        store.append_verdict(verdict(1))
        store.append_verdict(verdict(1))
        assert len(store.verdicts()) == 1
        assert store.chain_verify().entries == 1


def test_a_prefix_finds_its_verdict_only_if_it_is_the_only_one(path: Path) -> None:
    with Store.open(path) as store:
        store.append_verdict(verdict(1))
        store.append_verdict(verdict(2))
        assert store.verdict(verdict(1)["id"].lower())["summary"] == "verdict 1"
        with pytest.raises(AmbiguousVerdictError):
            store.verdict(verdict(1)["id"][:3])
        for unknown in ("ZZZ", "%", ""):
            with pytest.raises(UnknownVerdictError):
                store.verdict(unknown)


def test_a_reader_follows_while_the_writer_writes(path: Path) -> None:
    with Store.open(path) as writer:
        writer.append_verdict(verdict(1))
        with Store.read(path) as reader:
            seen = reader.last_entry()
            writer.append_event("containment.released", 5, {"id": "c1"})
            writer.append_verdict(verdict(2))
            assert [one["summary"] for _, one in reader.after(seen)] == ["verdict 2"]


def test_a_changed_entry_breaks_the_chain_at_that_entry(path: Path) -> None:
    with Store.open(path) as store:
        for number in range(5):
            store.append_verdict(verdict(number))
        assert store.chain_verify().whole
        head = store.head()
    with sqlite3.connect(path) as raw:
        raw.execute(
            "UPDATE log SET record = CAST(replace(record, 'verdict 2', 'verdict 7') AS BLOB)"
        )
    raw.close()
    with Store.open(path) as store:
        report = store.chain_verify()
        assert (report.whole, report.broken_at, store.head()) == (False, 3, head)


@pytest.mark.parametrize(("gone", "broken_at"), [(2, 3), (5, 5)])
def test_a_removed_entry_is_missed(path: Path, gone: int, broken_at: int) -> None:
    with Store.open(path) as store:
        for number in range(5):
            store.append_verdict(verdict(number))
    with sqlite3.connect(path) as raw:
        raw.execute("DELETE FROM log WHERE entry = ?", (gone,))
    raw.close()
    with Store.open(path) as store:
        assert store.chain_verify().broken_at == broken_at


def test_old_entries_go_and_the_rest_of_the_chain_still_holds(path: Path) -> None:
    with Store.open(path, keep=20) as store:
        for number in range(50):
            store.append_verdict(verdict(number))
        report = store.chain_verify()
        assert report.whole
        assert 20 <= report.entries <= 22
        assert len(store.verdicts()) == report.entries


def test_a_damaged_database_is_set_aside_under_its_name(path: Path) -> None:
    path.write_bytes(b"this is no database" * 100)
    with Store.open(path) as store:
        store.append_verdict(verdict(1))
        assert store.set_aside is not None
        assert store.set_aside.name.startswith("events.db.corrupt-")
        assert store.set_aside.read_bytes().startswith(b"this is no")
        assert len(store.verdicts()) == 1


def test_damage_in_the_middle_of_the_file_is_found_at_open(path: Path) -> None:
    with Store.open(path) as store:
        for number in range(200):
            store.append_verdict(verdict(number))
    content = bytearray(path.read_bytes())
    content[4096:40960] = b"\xa5" * (40960 - 4096)
    path.write_bytes(content)
    with Store.open(path) as store:
        assert store.set_aside is not None


def test_a_full_disk_keeps_the_newest_and_writes_them_when_there_is_room(path: Path) -> None:
    with Store.open(path) as store:
        store.append_verdict(verdict(0, level="critical"))
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count={pages}")
        for number in range(1, 1_300):
            store.append_verdict(verdict(number))
        assert store.waiting == 1_000
        assert store.lost["low"] == sum(store.lost.values()) > 0
        store._connection.execute("PRAGMA max_page_count=1000000")
        store.append_verdict(verdict(1_300))
        assert store.waiting == 0
        kept = len(store.verdicts())
        assert kept + store.lost["low"] == 1_301
        assert store.chain_verify().whole


def test_the_file_is_for_its_owner_only(path: Path) -> None:
    with Store.open(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_reading_what_is_not_there_says_so(path: Path) -> None:
    with pytest.raises(NoStoreError, match="does not exist"):
        Store.read(path)
    path.write_bytes(b"no database" * 100)
    with pytest.raises(StoreUnreadableError, match=r"events\.db cannot be read"):
        Store.read(path)


def test_verdict_ids_repeat_for_the_same_window_and_sort_by_time() -> None:
    first, later = verdict(1)["id"], verdict(2)["id"]
    assert first == verdict(1)["id"] < later
    assert is_verdict_id(first)
    assert first != verdict(1, workload="x")["id"]
    assert verdict_id(0, "ab", "c", 0) != verdict_id(0, "a", "bc", 0)
    assert not is_verdict_id("01J")
    assert not is_verdict_id(None)
