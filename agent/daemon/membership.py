"""The kernel's lists of who belongs to which workload, in which role."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from probes.loader import Sensor

MAIN: Final = "main"
UNKNOWN_CHILD: Final = "unknown-child"
WORKER: Final = "worker"
FIXED_ROLES: Final = {MAIN: 0, UNKNOWN_CHILD: 1, WORKER: 0xFFFF}  # as enum task_role
_EXITING: Final = 4  # PF_EXITING, include/linux/sched.h

Members = dict[int, tuple[int, int]]
"""Thread group → (workload number, role number)."""


@dataclass(slots=True)
class Membership:
    """Reads and writes `members`, and has the kernel tag what already runs.

    Attributes:
        roles: Role numbers by name; a number once given stays.
    """

    sensor: Sensor
    roles: dict[str, int] = field(default_factory=lambda: dict(FIXED_ROLES))
    _entry: np.dtype[np.void] = field(init=False)

    def __post_init__(self) -> None:
        """Take the layout from the object."""
        self._entry = self.sensor.schema.dtype("member")

    def role_of(self, number: int) -> str:
        """The name of a role's number."""
        return next((name for name, value in self.roles.items() if value == number), MAIN)

    def read(self) -> Members:
        """Everybody, as the kernel has it now."""
        keys, values = self.sensor.maps["members"].items()
        pids = np.ascontiguousarray(keys).view("<u4").ravel()
        entries = np.ascontiguousarray(values).view(self._entry).ravel()
        return {
            int(pid): (int(entry["workload"]), int(entry["role"]))
            for pid, entry in zip(pids, entries, strict=True)
        }

    def put(self, pid: int, number: int, role: str) -> None:
        """List a thread group; `adopt` then tags its threads and sockets."""
        value = self.roles.setdefault(role, min(len(self.roles), FIXED_ROLES[WORKER] - 1))
        entry = np.zeros(1, self._entry)
        entry["workload"], entry["role"] = number, value
        self.sensor.maps["members"].set(pid.to_bytes(4, "little"), entry.tobytes())

    def drop(self, pids: Iterable[int]) -> None:
        """List these no more."""
        for pid in pids:
            self.sensor.maps["members"].delete(pid.to_bytes(4, "little"))

    def drop_dead(self, members: Members) -> list[int]:
        """Remove entries of processes whose exit nobody saw, as when the probes were out.

        Asks /proc now: a snapshot taken before `members` was read misses its newest children.
        """
        dead = [pid for pid in members if not Path("/proc", str(pid)).exists()]
        self.drop(dead)
        return dead

    def let_go(self, number: int) -> None:
        """Watch a workload's processes no more."""
        self.drop([pid for pid, (owner, _) in self.read().items() if owner == number])
        self.adopt()

    def adopt(self) -> None:
        """Tag every running thread and socket by the list."""
        self.sensor.adopt()


def lives(pid: int) -> bool:
    """Whether a process goes on: not gone, not a zombie, not on its way out."""
    try:
        text = Path("/proc", str(pid), "stat").read_text("utf-8", "replace")
    except OSError:
        return False
    fields = text.rpartition(")")[2].split()
    return fields[0] not in {"Z", "X"} and not int(fields[6]) & _EXITING
