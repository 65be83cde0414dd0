"""What the bodies of requests consist of: the kernel's sketches by route, as differences.

No content is in them. Which byte sequences a counter stands for, the salt says, which is the
kernel's and the agent's alone.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collectors.requests import route_name
from collectors.routes import OTHERS
from probes.loader import Sensor

_EVICT_ABOVE: Final = 0.75
"""Share of the map's room."""


@dataclass(frozen=True, slots=True)
class RouteSketch:
    """What one kind of request brought.

    Attributes:
        route: ``POST /v1/completions``.
        requests: With a body.
        counts: Shape (SKETCH_COUNTERS,), int64: 3-grams of bytes by the last byte of their hash.
    """

    route: str
    requests: int
    counts: NDArray[np.int64]


class Sketches:
    """Reads and subtracts. One instance per daemon.

    Attributes:
        evicted: Routes taken out of the kernel's map for want of room; none had changed.
    """

    def __init__(self, sensor: Sensor) -> None:
        """Have the kernel drop what it counted for an agent before: its salts are not known."""
        self.evicted = 0
        self._map, self._routes = sensor.maps["sketches"], sensor.maps["routes"]
        schema = sensor.schema
        self._key, self._sketch = schema.dtype("route_key"), schema.dtype("sketch")
        self._counts = schema.dtype("route_counts")
        self._names: dict[bytes, str] = {}
        self._before: dict[bytes, np.void] = {}
        for raw in self._entries():
            self._drop(raw)

    def _entries(self) -> dict[bytes, np.void]:
        keys, values = self._map.items()
        rows = np.ascontiguousarray(values).view(self._sketch).ravel()
        return {key.tobytes(): row for key, row in zip(keys, rows, strict=True)}

    def read(self) -> dict[int, tuple[RouteSketch, ...]]:
        """By workload number, what was read since the last reading, of routes with something."""
        now, found = self._entries(), defaultdict[int, dict[str, RouteSketch]](dict)
        idle = []
        for raw, row in now.items():
            requests, counts = _growth(row, self._before.get(raw))
            if not counts.any() and not requests:
                idle.append(raw)
                continue
            mine, name = found[self._workload(raw)], self._name(raw)
            if (other := mine.get(name)) is not None:  # of another class of client
                requests, counts = requests + other.requests, counts + other.counts
            mine[name] = RouteSketch(name, requests, counts)
        if len(now) > _EVICT_ABOVE * self._map.max_entries:
            for raw in idle:
                self.evicted += self._drop(raw)
                del now[raw]
        self._before = now
        return {number: tuple(routes.values()) for number, routes in found.items()}

    def forget(self, number: int) -> None:
        """Have the kernel drop all it counted of one workload."""
        for raw in self._entries():
            if self._workload(raw) == number:
                self._drop(raw)
                self._before.pop(raw, None)

    def _drop(self, raw: bytes) -> bool:
        self._names.pop(raw, None)
        return self._map.delete(raw)

    def _workload(self, raw: bytes) -> int:
        return int(np.frombuffer(raw, self._key)[0]["workload"])

    def _name(self, raw: bytes) -> str:
        """What the route is called; its own entry among the counts says it."""
        if raw not in self._names:
            counts = self._routes.get(raw)
            if counts is None:
                return OTHERS
            row = np.frombuffer(counts, self._counts)[0]
            self._names[raw] = route_name(np.frombuffer(raw, self._key)[0], row)
        return self._names[raw]


def _growth(row: np.void, before: np.void | None) -> tuple[int, NDArray[np.int64]]:
    """Return requests and counts since; a counter of 32 bits that went round goes on."""
    if before is None:
        return int(row["requests"]), row["counts"].astype(np.int64)
    counts = row["counts"] - before["counts"]  # unsigned: modulo 2**32
    return max(0, int(row["requests"]) - int(before["requests"])), counts.astype(np.int64)
