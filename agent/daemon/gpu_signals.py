"""What the looks at GPUs tell beside readings: who else computes there, who hides, what fails."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from agent.daemon.registry import Found
from collectors.gpu import GpuReading
from collectors.sightings import Sighting
from detectors.ordinary import COMPUTE_DEVICE

SURE_LOOKS: Final = 2
"""Looks in a row that agree: the two accounts are not taken at the same moment."""

_MISMATCHES: Final = {
    "unlisted": "nvml-unlisted",
    "unheld": "nvml-unheld",
}

Member = Callable[[int, int], tuple[int, int]]
"""Workload and role, in the kernel's numbers, by the workload that a process is of, and process."""


class GpuSignals:
    """Tells each finding once, as long as it lasts."""

    def __init__(self) -> None:
        """Know of nobody."""
        self._looks: dict[tuple[str, int], int] = {}
        self._ecc: dict[int, int | None] = {}
        self._told: GpuReading | None = None

    def look(
        self, reading: GpuReading | None, workloads: Iterable[Found], member: Member, now_ns: int
    ) -> Iterator[tuple[str, Sighting]]:
        """Yield workload and sighting.

        Args:
            reading: The last; None: nothing is known.
            workloads: That are watched.
            member: Asked for what is told alone.
            now_ns: CLOCK_MONOTONIC.
        """
        if reading is None or reading is self._told:
            return  # a driver that hangs gives the same answer again
        self._told = reading
        watched = {pid: found for found in workloads for pid in found.pids}
        holders = {holder.pid for holder in reading.holders if holder.computes}
        users = {found.name: found for pid in holders if (found := watched.get(pid)) is not None}
        outside = [("outside", pid) for pid in holders - watched.keys()] if users else []
        yield from self._failures(reading, watched, member, now_ns)
        hidden = [(one.kind, one.pid) for one in reading.mismatches if one.pid in watched]
        self._looks = {what: self._looks.get(what, 0) + 1 for what in (*outside, *hidden)}
        for (kind, pid), looks in self._looks.items():
            if kind == "outside" and looks == 1:
                for name, found in users.items():
                    yield name, _sighting("stranger", COMPUTE_DEVICE, pid, (found.id, 0), now_ns)
            elif kind in _MISMATCHES and looks == SURE_LOOKS:
                belongs = member(watched[pid].id, pid)
                item = _MISMATCHES[kind]
                yield watched[pid].name, _sighting("gpu", item, pid, belongs, now_ns)

    def _failures(
        self,
        reading: GpuReading,
        watched: Mapping[int, Found],
        member: Member,
        now_ns: int,
    ) -> Iterator[tuple[str, Sighting]]:
        """Errors of a GPU, to whoever is on it."""
        for device in reading.devices:
            before = self._ecc.get(device.index, device.ecc_errors)
            more = (device.ecc_errors or 0) - (before or 0)
            self._ecc[device.index] = device.ecc_errors
            items = [f"xid {number}" for number in dict.fromkeys(device.xids)]
            items += ["ecc-errors"] if more > 0 else []
            on_it = {one.pid for one in device.processes or ()} & watched.keys()
            for name, pid in {watched[pid].name: pid for pid in on_it}.items():
                for item in items:
                    belongs = member(watched[pid].id, pid)
                    yield name, _sighting("gpu", item, pid, belongs, now_ns)


def _sighting(kind: str, item: str, pid: int, belongs: tuple[int, int], now_ns: int) -> Sighting:
    """Of what was seen at a look: who it is, /proc tells."""
    workload, role = belongs
    return Sighting(kind, item, workload, role, now_ns, pid, 0, 0, 0, 0, "")
