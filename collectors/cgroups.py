"""Where a process stands in the cgroup trees, and what a cgroup says about its memory and pressure.

Unified (v2), legacy (v1) and hybrid hosts are told apart by what `/proc/PID/cgroup` lists, see
cgroups(7).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from collectors.procfs import SMALL_LIMIT, ReadCounts, read, text

_CONTAINER_ID = re.compile(r"(?:^|[-/:])([0-9a-f]{64})(?:\.scope)?(?:/|$)")
KEYS: Final = (
    "cgroup_memory_bytes",
    "cgroup_memory_peak_bytes",
    "cgroup_memory_limit_bytes",
    "cgroup_swap_bytes",
    "cgroup_oom_kills",
    "memory_pressure_some",
    "memory_pressure_full",
    "cpu_pressure_some",
    "io_pressure_some",
)
_UNIT = re.compile(r"[^/]+\.(?:service|scope)$")


@dataclass(frozen=True, slots=True)
class Place:
    """A process's cgroups."""

    path: str = ""  # in the unified tree; "" when there is none
    unit: str = ""  # innermost systemd service or scope; "" outside systemd
    container: str = ""  # 64 hexadecimal digits; "" outside a container
    memory_v1: str = ""  # in the legacy memory tree; "" when memory is in the unified one


def parse_place(data: bytes) -> Place:
    """Read a `/proc/PID/cgroup`. An unreadable line leaves its part empty."""
    path = named = memory = ""
    container = ""
    for line in text(data).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, place = rest.partition(":")
        if match := _CONTAINER_ID.search(place):
            container = match.group(1)
        if not controllers:
            path = place
        elif controllers == "name=systemd":
            named = place
        elif "memory" in controllers.split(","):
            memory = place
    return Place(path, _unit(path) or _unit(named), container, memory)


def _unit(path: str) -> str:
    """Return the innermost unit on a cgroup path.

    What a service makes below itself still belongs to it.
    """
    for part in reversed(path.split("/")):
        if _UNIT.match(part):
            return part
    return ""


@dataclass(slots=True)
class CgroupReader:
    """Reads memory and pressure of the cgroup a workload owns."""

    mount: Path = Path("/sys/fs/cgroup")
    counts: ReadCounts = field(default_factory=ReadCounts)

    def directory(self, place: Place) -> Path | None:
        """Return where this place's memory files are, or None when this host has none."""
        if place.memory_v1 not in {"", "/"}:
            return self._inside(self.mount / "memory", place.memory_v1)
        if place.path in {"", "/"}:
            return None
        # Hybrid hosts mount the unified tree one level down.
        unified = self.mount / "unified"
        return self._inside(unified if unified.is_dir() else self.mount, place.path)

    def read(self, place: Place, only: Collection[str] = KEYS) -> dict[str, float]:
        """Return what the workload's cgroup says; a file that is not there leaves its reading out.

        Args:
            place: Its cgroup.
            only: Keys to read, of those below.

        Keys: cgroup_memory_bytes, cgroup_memory_peak_bytes, cgroup_memory_limit_bytes,
        cgroup_swap_bytes (B),
        cgroup_oom_kills (since the cgroup was made), memory_pressure_some, memory_pressure_full,
        cpu_pressure_some, io_pressure_some (% of the last 10 s).
        """
        directory = self.directory(place)
        if directory is None:
            return {}
        legacy = place.memory_v1 not in {"", "/"}
        readings: dict[str, float] = {}
        for name, file in (_V1 if legacy else _V2).items():
            value = self._number(directory / file) if name in only else None
            if value is not None:
                readings[name] = value
        if "cgroup_oom_kills" in only:
            events = "memory.oom_control" if legacy else "memory.events"
            data = read(str(directory / events), SMALL_LIMIT, self.counts) or b""
            if (kills := _keyed(data, "oom_kill")) is not None:
                readings["cgroup_oom_kills"] = kills
        if not legacy:
            readings |= self._pressure(directory, only)
        return readings

    def _pressure(self, directory: Path, only: Collection[str]) -> dict[str, float]:
        readings: dict[str, float] = {}
        for resource, kinds in (
            ("memory", ("some", "full")),
            ("cpu", ("some",)),
            ("io", ("some",)),
        ):
            wanted = {kind: f"{resource}_pressure_{kind}" for kind in kinds}
            if not set(wanted.values()) & set(only):
                continue
            data = read(str(directory / f"{resource}.pressure"), SMALL_LIMIT, self.counts) or b""
            averages = parse_pressure(data)
            readings |= {
                key: averages[kind]
                for kind, key in wanted.items()
                if kind in averages and key in only
            }
        return readings

    def _number(self, path: Path) -> float | None:
        data = (read(str(path), SMALL_LIMIT, self.counts) or b"").strip()
        # "max" is no limit: nothing was read, rather than a number.
        return float(data) if data.isdigit() else None

    @staticmethod
    def _inside(tree: Path, place: str) -> Path | None:
        directory = tree / place.lstrip("/")
        # A process in another cgroup namespace shows its place as "/../x".
        return directory if ".." not in directory.parts and directory.is_dir() else None


_V1 = {
    "cgroup_memory_bytes": "memory.usage_in_bytes",
    "cgroup_memory_peak_bytes": "memory.max_usage_in_bytes",
    "cgroup_memory_limit_bytes": "memory.limit_in_bytes",
}
_V2 = {
    "cgroup_memory_bytes": "memory.current",
    "cgroup_memory_peak_bytes": "memory.peak",
    "cgroup_memory_limit_bytes": "memory.max",
    "cgroup_swap_bytes": "memory.swap.current",
}


def _keyed(data: bytes, key: str) -> float | None:
    for line in text(data).splitlines():
        name, _, value = line.partition(" ")
        if name == key and value.isdigit():
            return float(value)
    return None


def parse_pressure(data: bytes) -> dict[str, float]:
    """Return {"some": %, "full": %} of the last 10 s from a pressure file.

    Source: the kernel's Documentation/accounting/psi.rst.
    """
    averages: dict[str, float] = {}
    for line in text(data).splitlines():
        kind, _, rest = line.partition(" ")
        for pair in rest.split():
            name, _, value = pair.partition("=")
            if name == "avg10":
                averages[kind] = float(value)
    return averages
