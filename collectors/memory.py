"""What a workload's processes use together: memory, faults, CPU time, threads, descriptors.

Sources: proc(5), the kernel's Documentation/filesystems/proc.rst.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from collectors import procfs
from collectors.processes import NS_PER_TICK
from collectors.procfs import ReadCounts, Stat

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# The kernel walks all page tables for it: 0.1 ms for a small process, tens of ms for 100 GB.
PSS_EVERY_NS = 30_000_000_000
PSS_PROCESSES_MAX = 16
_NS_PER_S = 1_000_000_000
_ROLLUP = {
    b"Pss": "pss_bytes",
    b"Swap": "swap_bytes",
    b"AnonHugePages": "huge_page_bytes",
    b"ShmemPmdMapped": "huge_page_bytes",
    b"FilePmdMapped": "huge_page_bytes",
    b"Shared_Hugetlb": "huge_page_bytes",
    b"Private_Hugetlb": "huge_page_bytes",
}
"""Lines of smaps_rollup, by what they add to."""


@dataclass(slots=True)
class MemoryReader:
    """Reads one workload. Keeps what it read last, since rates need two readings.

    What could not be read for every process leaves its key out: a sum over some of them would look
    like a fall. A process that is gone takes its last, unread part along.
    """

    root: str = "/proc"
    pss_every_ns: int = PSS_EVERY_NS
    counts: ReadCounts = field(default_factory=ReadCounts)
    _last: dict[tuple[int, int], Stat] = field(default_factory=dict)
    _last_ns: int | None = None
    _last_boot_ns: int = 0
    _rollup: dict[str, float] = field(default_factory=dict)
    _pss_ns: int | None = None

    def read(self, pids: Collection[int], now_ns: int) -> dict[str, float]:
        """Return the readings by feature name; empty when none of the processes lives.

        Args:
            pids: The workload's processes (thread group ids).
            now_ns: CLOCK_MONOTONIC of this reading.

        Returns:
            threads, processes, open_fds (1), rss_bytes (B), and from the second reading on
            cpu_percent (% of one core), major_faults, minor_faults (1/s). pss_bytes, swap_bytes
            and huge_page_bytes (B) are read every `pss_every_ns` for at most 16 processes and
            repeated in between.
        """
        boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        refused = self.counts.refused + self.counts.failed
        stats = self._stats(pids)
        whole = self.counts.refused + self.counts.failed == refused
        readings: dict[str, float] = {}
        if stats and whole:
            readings = {
                "processes": float(len(stats)),
                "threads": float(sum(stat.threads for stat in stats.values())),
                "rss_bytes": float(
                    sum(stat.resident_pages for stat in stats.values()) * PAGE_BYTES
                ),
                **self._rates(stats, now_ns),
            }
            living = [pid for pid, _ in stats]
            if (open_fds := self._open_fds(living)) is not None:
                readings["open_fds"] = open_fds
            readings |= self._rolled_up(living, now_ns)
        self._last, self._last_ns, self._last_boot_ns = stats, now_ns, boot_ns
        return readings

    def _stats(self, pids: Collection[int]) -> dict[tuple[int, int], Stat]:
        found: dict[tuple[int, int], Stat] = {}
        for pid in pids:
            data = procfs.read(f"{self.root}/{pid}/stat", procfs.SMALL_LIMIT, self.counts)
            if data is None:
                continue
            stat = procfs.parse_stat(data)
            if stat is None:
                self.counts.failed += 1
            else:
                found[pid, stat.start_ticks] = stat
        return found

    def _rates(self, stats: dict[tuple[int, int], Stat], now_ns: int) -> dict[str, float]:
        if self._last_ns is None or now_ns <= self._last_ns:
            return {}
        seconds = (now_ns - self._last_ns) / _NS_PER_S
        cpu = minor = major = 0
        for identity, stat in stats.items():
            before = self._last.get(identity)
            if before is not None:
                cpu += stat.cpu_ticks - before.cpu_ticks
                minor += stat.minor_faults - before.minor_faults
                major += stat.major_faults - before.major_faults
            elif stat.start_ticks * NS_PER_TICK >= self._last_boot_ns - NS_PER_TICK:
                # Born since the last reading: all it did, it did since then.
                cpu += stat.cpu_ticks
                minor += stat.minor_faults
                major += stat.major_faults
        # The kernel scales CPU time to a precise sum and may take back a tick of it.
        return {
            "cpu_percent": max(0.0, 100.0 * cpu * NS_PER_TICK / _NS_PER_S / seconds),
            "minor_faults": minor / seconds,
            "major_faults": major / seconds,
        }

    def _open_fds(self, pids: Collection[int]) -> float | None:
        total = 0
        for pid in pids:
            path = f"{self.root}/{pid}/fd"
            try:
                # From Linux 6.2 the directory's size is the number of descriptors.
                size = os.stat(path).st_size  # noqa: PTH116 (once a second for every process)
                total += size or len(os.listdir(path))  # noqa: PTH208 (same)
            except OSError as error:
                self.counts.note(error)
                if isinstance(error, PermissionError):
                    return None
        return float(total)

    def _rolled_up(self, pids: Collection[int], now_ns: int) -> dict[str, float]:
        if len(pids) > PSS_PROCESSES_MAX:
            return {}
        if self._pss_ns is None or now_ns - self._pss_ns >= self.pss_every_ns:
            self._pss_ns = now_ns
            self._rollup = self._rollup_sums(pids)
        return self._rollup

    def _rollup_sums(self, pids: Collection[int]) -> dict[str, float]:
        sums: dict[str, float] = {}
        for pid in pids:
            vanished = self.counts.vanished
            data = procfs.read(f"{self.root}/{pid}/smaps_rollup", procfs.SMALL_LIMIT, self.counts)
            if data is None and self.counts.vanished > vanished:
                continue
            if not any(line.startswith(b"Pss:") for line in (data or b"").splitlines()):
                return {}
            for line in (data or b"").splitlines():
                name, _, rest = line.partition(b":")
                if (key := _ROLLUP.get(name)) is not None:
                    sums[key] = sums.get(key, 0.0) + (int(rest.split()[0]) << 10)
        return sums
