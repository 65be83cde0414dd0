"""Memory, faults and CPU time of a workload: sums over its processes, rates between readings."""

import os
from pathlib import Path
from typing import Any

import pytest

from collectors.cgroups import CgroupReader, Place, parse_pressure
from collectors.memory import MemoryReader

# The `host` fixture lives in the conftest above, which is no module to import from.
Host = Any

SECOND = 1_000_000_000
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


def write_stat(  # noqa: PLR0913 (one argument for each field that moves)
    host: Host, pid: int, *, start: int = 1, minor: int = 0, major: int = 0, cpu: int = 0
) -> None:
    line = f"{pid} (x) S 1 1 1 0 -1 0 {minor} 0 {major} 0 {cpu} 0 0 0 20 0 3 0 {start} 0 250 0\n"
    (host.root / str(pid)).mkdir(exist_ok=True)
    (host.root / str(pid) / "stat").write_text(line)


@pytest.fixture
def reader(host: Host) -> MemoryReader:
    for pid in (10, 11):
        host.add(pid, ["x"], files=["/dev/null", "/dev/zero"])
        write_stat(host, pid)
        (host.root / str(pid) / "smaps_rollup").write_text("x\nRss: 9 kB\nPss:     5 kB\n")
    return MemoryReader(str(host.root))


def test_sums_are_there_at_once_and_rates_from_the_second_reading(
    reader: MemoryReader, host: Host
) -> None:
    first = reader.read([10, 11], SECOND)
    assert first["processes"] == 2
    assert first["threads"] == 6
    assert first["rss_bytes"] == 2 * 250 * PAGE
    assert first["pss_bytes"] == 2 * 5 * 1024
    assert "cpu_percent" not in first
    write_stat(host, 10, minor=60, major=4, cpu=TICKS)
    second = reader.read([10, 11], 3 * SECOND)
    assert second["cpu_percent"] == pytest.approx(50.0)
    assert second["minor_faults"] == pytest.approx(30.0)
    assert second["major_faults"] == pytest.approx(2.0)


def test_a_process_that_vanished_gives_no_negative_rate(reader: MemoryReader, host: Host) -> None:
    write_stat(host, 11, minor=1000, cpu=1000)
    reader.read([10, 11], SECOND)
    host.remove(11)
    readings = reader.read([10, 11], 2 * SECOND)
    assert readings["processes"] == 1
    assert readings["minor_faults"] == 0
    assert readings["cpu_percent"] == 0


def test_a_reused_pid_starts_anew(reader: MemoryReader, host: Host) -> None:
    write_stat(host, 11, minor=1000)
    reader.read([10, 11], SECOND)
    write_stat(host, 11, start=2, minor=7)
    assert reader.read([10, 11], 2 * SECOND)["minor_faults"] == 0


def test_a_process_born_between_readings_counts_in_full(reader: MemoryReader, host: Host) -> None:
    reader.read([10], SECOND)
    write_stat(host, 12, start=1 << 40, minor=7)
    assert reader.read([10, 12], 2 * SECOND)["minor_faults"] == 7


def test_an_older_process_that_joins_brings_no_past(reader: MemoryReader, host: Host) -> None:
    write_stat(host, 11, minor=1000)
    reader.read([10], SECOND)
    assert reader.read([10, 11], 2 * SECOND)["minor_faults"] == 0


def test_pss_is_read_at_its_own_rate(reader: MemoryReader, host: Host) -> None:
    reader.read([10], SECOND)
    (host.root / "10" / "smaps_rollup").write_text("Pss: 70 kB\n")
    assert reader.read([10], 2 * SECOND)["pss_bytes"] == 5 * 1024
    assert reader.read([10], 40 * SECOND)["pss_bytes"] == 70 * 1024


def test_pss_unread_is_absent_and_not_zero(reader: MemoryReader, host: Host) -> None:
    (host.root / "11" / "smaps_rollup").write_text("")
    assert "pss_bytes" not in reader.read([10, 11], SECOND)


def test_swap_and_huge_pages_come_with_it(reader: MemoryReader, host: Host) -> None:
    lines = (
        "Pss: 5 kB\nAnonHugePages: 2048 kB\nPrivate_Hugetlb: 2048 kB\nSwap: 3 kB\nSwapPss: 9 kB\n"
    )
    (host.root / "10" / "smaps_rollup").write_text(lines)
    readings = reader.read([10], SECOND)
    assert readings["swap_bytes"] == 3 * 1024
    assert readings["huge_page_bytes"] == 4096 * 1024


def test_what_the_kernel_does_not_tell_is_absent(reader: MemoryReader) -> None:
    assert "swap_bytes" not in reader.read([10], SECOND)


def test_nothing_alive_gives_no_readings(reader: MemoryReader) -> None:
    assert reader.read([98, 99], SECOND) == {}


def test_an_unreadable_process_leaves_no_partial_sum(reader: MemoryReader, host: Host) -> None:
    (host.root / "11" / "stat").write_text("nonsense")
    assert reader.read([10, 11], SECOND) == {}
    assert reader.counts.failed == 1


def test_a_unified_cgroup_tells_memory_and_pressure(tmp_path: Path) -> None:
    directory = tmp_path / "system.slice" / "a.service"
    directory.mkdir(parents=True)
    (directory / "memory.current").write_text("4096\n")
    (directory / "memory.max").write_text("max\n")
    (directory / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    (directory / "memory.pressure").write_text(
        "some avg10=1.50 avg60=0.00 avg300=0.00 total=7\n"
        "full avg10=0.25 avg60=0.00 avg300=0.00 total=1\n"
    )
    readings = CgroupReader(tmp_path).read(Place("/system.slice/a.service"))
    assert readings == {
        "cgroup_memory_bytes": 4096.0,
        "cgroup_oom_kills": 2.0,
        "memory_pressure_some": 1.5,
        "memory_pressure_full": 0.25,
    }


def test_a_legacy_cgroup_tells_memory(tmp_path: Path) -> None:
    directory = tmp_path / "memory" / "a"
    directory.mkdir(parents=True)
    (directory / "memory.usage_in_bytes").write_text("8192\n")
    readings = CgroupReader(tmp_path).read(Place("/", memory_v1="/a"))
    assert readings == {"cgroup_memory_bytes": 8192.0}


@pytest.mark.parametrize("place", [Place(), Place("/"), Place("/gone"), Place("/../outside")])
def test_a_cgroup_that_is_not_there_tells_nothing(place: Place, tmp_path: Path) -> None:
    assert CgroupReader(tmp_path).read(place) == {}


def test_pressure_that_is_no_pressure_is_empty() -> None:
    assert parse_pressure(b"nonsense") == {}
