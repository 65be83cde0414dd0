"""What exceeded a workload's pace: the kernel's exact counts by directory, as differences.

A record that was not made is counted in its crowd (probes/paces.bpf.h). One crowd is told as one
sighting, `DIRECTORY/*` with how many; what has an allowance of its own, such as secrets, by the
name of the first.
"""

from collections import Counter
from typing import Final

import numpy as np

from collectors.records import Records
from collectors.sightings import Sighting
from probes.loader import Sensor

MOST: Final = 256
"""Crowds told at one reading, those that grew most; the others wait for the next."""

_IDLE_NS: Final = 60_000_000_000
"""A crowd that nothing joined for so long is over, and leaves the kernel's map."""


class Crowds:
    """Reads and subtracts. One instance per daemon.

    What a daemon before had told of crowds that are not over is told once more: the map does not
    say how much it was.

    Attributes:
        told: Records told by crowd.
        waiting: Records read, and not told yet.
        by_kind: Those told, by `enum event_kind`.
    """

    def __init__(self, sensor: Sensor, records: Records) -> None:
        """Have told nothing."""
        self._map, self._records = sensor.maps["crowds"], records
        self._key = sensor.schema.dtype("crowd_key")
        self._crowd = sensor.schema.dtype("crowd")
        self._known: dict[bytes, int] = {}
        self._looked = False
        self.told = self.waiting = 0
        self.by_kind: Counter[int] = Counter()

    @property
    def due(self) -> bool:
        """Whether there is something to read, or to take out, even if nothing new was counted."""
        return bool(self._known) or not self._looked

    def read(self, now_ns: int) -> list[Sighting]:
        """One sighting per crowd that grew; ordinary ends of processes are only counted.

        Args:
            now_ns: CLOCK_MONOTONIC.
        """
        self._looked = True
        keys, values = self._map.items()
        crowds = np.ascontiguousarray(values).view(self._crowd).ravel()
        names = [key.tobytes() for key in keys]
        known = np.array([self._known.get(name, 0) for name in names], np.uint64)
        growth = crowds["count"] - np.minimum(known, crowds["count"])
        order = np.argsort(-growth.astype(np.int64), kind="stable")
        chosen = [int(at) for at in order[:MOST] if growth[at]]
        sightings = []
        for at in chosen:
            key, more = np.frombuffer(names[at], self._key)[0], int(growth[at])
            self._known[names[at]] = int(crowds["count"][at])
            self.told += more
            self.by_kind[int(key["kind"])] += more
            sighting = self._records.crowd(key, crowds[at], more)
            sightings += [sighting] if sighting is not None else []
        self.waiting = int(growth[order[MOST:]].sum())
        self._known = {name: self._known.get(name, 0) for name in names}
        over = crowds["latest_ns"] + np.uint64(_IDLE_NS) < now_ns
        for name, count in zip(np.array(names, object)[over], crowds["count"][over], strict=True):
            if self._known[name] == count:
                self._map.delete(name)
        return sightings
