"""What the control group says that a workload has to itself.

Of a group that others share, no reading is the workload's. `memory.stat` is left out: the kernel
adds up every processor and every group below for it, which takes milliseconds on large hosts.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from collectors import procfs
from collectors.cgroups import CgroupReader, Place, parse_place
from collectors.procfs import ReadCounts

LOOK_EVERY_NS: Final = 30_000_000_000
"""Between looks whether the group is the workload's alone."""

READ_EVERY_NS: Final = 2_000_000_000
"""The kernel renews its averages of pressure every two seconds (kernel/sched/psi.c, PSI_FREQ)."""

GROUPS_MAX: Final = 64
"""Groups below it that are looked into; one with more is taken for shared."""

READINGS: Final = (
    "cgroup_memory_bytes",
    "cgroup_swap_bytes",
    "cpu_pressure_some",
    "memory_pressure_some",
    "io_pressure_some",
)


@dataclass(slots=True)
class OwnCgroup:
    """Reads for one workload; repeats in between what is not read in every window."""

    root: str = "/proc"
    reader: CgroupReader = field(default_factory=CgroupReader)
    counts: ReadCounts = field(default_factory=ReadCounts)
    _places: tuple[Place, ...] = ()
    _looked_ns: int | None = None
    _readings: dict[str, float] = field(default_factory=dict)
    _read_ns: int | None = None

    def read(self, pids: Collection[int], now_ns: int) -> dict[str, float]:
        """Return the readings by feature name; what this host or group does not have is absent.

        Args:
            pids: The workload's processes (thread group ids).
            now_ns: CLOCK_MONOTONIC of this reading.
        """
        if self._looked_ns is None or now_ns - self._looked_ns >= LOOK_EVERY_NS:
            self._looked_ns, self._places, self._read_ns = now_ns, self._own(pids), None
        if self._read_ns is None or now_ns - self._read_ns >= READ_EVERY_NS:
            found: dict[str, float] = {}
            for place in self._places:
                found |= self.reader.read(place, READINGS)
            self._readings, self._read_ns = found, now_ns
        return self._readings

    def _own(self, pids: Collection[int]) -> tuple[Place, ...]:
        """Its group in either tree: a hybrid host has memory in one and pressure in the other."""
        if not pids:
            return ()
        data = procfs.read(f"{self.root}/{min(pids)}/cgroup", procfs.SMALL_LIMIT, self.counts)
        place = parse_place(data or b"")
        trees = (Place(path=place.path), Place(memory_v1=place.memory_v1))
        return tuple(tree for tree in trees if self._alone(pids, tree))

    def _alone(self, pids: Collection[int], place: Place) -> bool:
        directory = self.reader.directory(place)
        inside = None if directory is None else _processes(directory)
        if inside is None:
            return False
        outside = {pid for pid in set(pids) - inside if self._parent(pid) is not None}
        # A child that was born since the last scan belongs to whoever bore it.
        strangers = {pid for pid in inside - set(pids) if self._parent(pid) not in inside}
        return not outside and not strangers

    def _parent(self, pid: int) -> int | None:
        """Return its parent; None if it is gone."""
        data = procfs.read(f"{self.root}/{pid}/stat", procfs.SMALL_LIMIT, self.counts)
        fields = (data or b"").rpartition(b")")[2].split()
        return int(fields[1]) if len(fields) > 1 else None


def _processes(directory: Path) -> set[int] | None:
    """Every process of a group and of those below it; None for too many groups, or unread."""
    found: set[int] = set()
    for count, (path, _, _) in enumerate(os.walk(directory)):
        if count >= GROUPS_MAX:
            return None
        try:
            found |= {int(pid) for pid in Path(path, "cgroup.procs").read_text("ascii").split()}
        except OSError:  # removed meanwhile, or a threaded group: its processes are listed above
            continue
    return found
