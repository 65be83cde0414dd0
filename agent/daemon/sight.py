"""Whether the calls of a workload at work are seen: asked of facts the probes have no part in."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

LOOK_S: Final = 2.0
"""Between looks. Blindness shows at the fourth after its beginning at the latest: in 8 s."""

BLIND_CPU_S: Final = 0.05
"""Processor time without a counted call from which on it is worth asking for more."""

BLIND_CALLS: Final = 20
"""Reads, writes and sleeps without one counted call that cannot be chance."""

MOST_THREADS: Final = 32
"""Of one process, asked how often they slept."""

_RING_THREAD: Final = b"iou-"  # iou-sqp-PID, iou-wrk-PID: io_uring/sqpoll.c, io-wq.c
_MAJOR_FAULTS: Final = 9  # field of /proc/PID/stat behind the name, proc(5)


@dataclass(frozen=True, slots=True)
class Activity:
    """What /proc knows of a workload's living processes.

    Attributes:
        reads: read(2) and write(2) calls, by the kernel's I/O accounting.
        sleeps: Times its threads gave up the processor of their own accord: in a call, or
            where a page had to be read.
        major_faults: Pages that had to be read: sleeps without a call.
    """

    reads: int = 0
    sleeps: int = 0
    major_faults: int = 0

    def calls_since(self, before: "Activity") -> int:
        """How many system calls there were at least."""
        slept = self.sleeps - before.sleeps if self.major_faults == before.major_faults else 0
        return max(self.reads - before.reads, 0) + max(slept, 0)


@dataclass(slots=True)
class _Stall:
    calls: int
    cpu_s: float
    activity: Activity | None = None
    suspected: bool = False


class Sight:
    """Remembers since when nothing was counted of whom.

    Attributes:
        blind: Workloads that make calls of which none is counted.
    """

    def __init__(self) -> None:
        """Suspect nobody."""
        self.blind: set[str] = set()
        self._stalls: dict[str, _Stall] = {}

    def look(self, pids: Mapping[str, frozenset[int]], calls: Mapping[str, int]) -> list[str]:
        """Return who went blind since the last look.

        A server that only computes makes no calls, and is no reason for alarm.

        Args:
            pids: Living processes by workload.
            calls: Calls counted so far by workload.
        """
        self._stalls = {name: stall for name, stall in self._stalls.items() if name in pids}
        self.blind &= pids.keys()
        fresh = [name for name in pids if self._is_blind(name, pids[name], calls.get(name, 0))]
        self.blind.update(fresh)
        return fresh

    def _is_blind(self, name: str, pids: frozenset[int], calls: int) -> bool:
        cpu_s, stall = _cpu_s(pids), self._stalls.get(name)
        if stall is None or calls != stall.calls:
            self._stalls[name] = _Stall(calls, cpu_s)
            self.blind.discard(name)
            return False
        if stall.suspected:  # and the windows that closed since counted nothing, either
            return name not in self.blind
        if stall.activity is None:
            stall.activity, stall.cpu_s = activity(pids), cpu_s
        elif cpu_s - stall.cpu_s > BLIND_CPU_S:
            now = activity(pids)
            stall.suspected = now.calls_since(stall.activity) >= BLIND_CALLS
            stall.activity, stall.cpu_s = now, cpu_s
        return False


def activity(pids: Iterable[int]) -> Activity:
    """Read it; a process that just ended, or keeps its figures to itself, adds nothing."""
    reads = sleeps = faults = 0
    for pid in pids:
        root = Path("/proc", str(pid))
        with suppress(OSError, ValueError, KeyError):
            stat = (root / "stat").read_text("ascii", "replace")
            faults += int(stat.rpartition(")")[2].split()[_MAJOR_FAULTS])
            figures = _figures(root / "io")
            reads += figures["syscr"] + figures["syscw"]
        with suppress(OSError, ValueError, KeyError):
            for thread in sorted((root / "task").iterdir())[:MOST_THREADS]:
                # io_uring's own threads sleep without a call of the program's.
                if not (thread / "comm").read_bytes().startswith(_RING_THREAD):
                    sleeps += _figures(thread / "status")["voluntary_ctxt_switches"]
    return Activity(reads, sleeps, faults)


def _figures(path: Path) -> dict[str, int]:
    lines = (line.partition(":") for line in path.read_text("ascii", "replace").splitlines())
    return {name: int(value) for name, _, value in lines if value.strip().isdigit()}


def _cpu_s(pids: Iterable[int]) -> float:
    total = 0.0
    for pid in pids:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system
    return total
