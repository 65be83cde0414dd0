"""The kernel's counters as differences: exact 7-gram counts, totals and losses per workload.

The maps only ever grow, so that nothing is lost when the agent is not there. What was
already told is kept in a file in the run directory, which lives as long as the
kernel's maps do: after `kill -9`, the next reading goes on from there.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from probes.loader import Sensor
from probes.schema import Schema

_FILE: Final = "counted.npz"
_EVICT_ABOVE: Final = 0.75  # share of the map's room
_TABLES: Final = ("totals", "losses", "file_bytes", "peer_bytes", "peer_connections")
"""Array maps with one row per workload."""
_SEQUENCE_DTYPE: Final = np.dtype(
    [("workload", "<u4"), ("role", "<u2"), ("word", "<u8"), ("count", "<u8")]
)


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted between two readings.

    Attributes:
        grams: Shape (n,), fields workload, role, word, count; only what changed.
        totals: Shape (workloads, counters), in the order of `enum counter`.
        losses: Shape (workloads, reasons), in the order of `enum loss_reason`.
        file_bytes: Shape (workloads, classes * directions): `enum file_class`, and of each class
            `enum file_direction`.
        peer_bytes: Shape (workloads, classes * flows): `enum peer_class`, and of each class
            `enum peer_flow`.
        peer_connections: As `peer_bytes`.
        submitted: Shape (kinds,): records the kernel handed to the ring.
        evicted: 7-grams dropped from the kernel's map for want of room; none had changed.
    """

    grams: NDArray[np.void]
    totals: NDArray[np.uint64]
    losses: NDArray[np.uint64]
    file_bytes: NDArray[np.uint64]
    peer_bytes: NDArray[np.uint64]
    peer_connections: NDArray[np.uint64]
    submitted: NDArray[np.uint64]
    evicted: int

    def named(
        self, table: NDArray[np.uint64], names: dict[str, int], workload: int
    ) -> dict[str, int]:
        """One workload's row of `totals` or `losses`, by the constants' names."""
        row = table[workload]
        return {name: int(row[i]) for name, i in names.items() if i < len(row)}


class Counters:
    """Reads and subtracts. One instance per daemon.

    Args:
        sensor: The loaded probes.
        run: Directory for what was already told.
    """

    def __init__(self, sensor: Sensor, run: Path) -> None:
        """Go on from the last reading, if these maps are the ones it was of."""
        self._sensor = sensor
        self._run = run
        self._schema: Schema = sensor.schema
        self._key = self._schema.dtype("gram_key")
        self._workloads = self._schema.limit("MAX_WORKLOADS")
        self._grams = np.zeros(0, _SEQUENCE_DTYPE)
        sizes = [sensor.maps[name].max_entries for name in (*_TABLES, "submitted")]
        self._slots = np.zeros(sum(sizes), np.uint64)
        self._splits = np.cumsum(sizes)[:-1]
        self._ids = np.array([sensor.maps[name].id for name in (*_TABLES, "submitted", "grams")])
        if sensor.resumed:
            self._resume()
        else:
            self.read()  # another daemon's leftovers in carried-over maps are not news
            self.keep()

    def _resume(self) -> None:
        try:
            with np.load(self._run / _FILE, allow_pickle=False) as kept:
                same = np.array_equal(kept["ids"], self._ids)
                if same and kept["slots"].shape == self._slots.shape:
                    self._slots, self._grams = kept["slots"], kept["grams"]
        except (OSError, ValueError, KeyError, EOFError):
            return  # nothing was told yet of these maps

    def read(self, highest: int | None = None) -> Counts:
        """What was counted since the last call.

        Args:
            highest: Highest workload number in use; the rows above are not looked at. None: all.
        """
        grams = self._read_grams()
        changed = _difference(self._grams, grams)
        slots = np.maximum(self._slots, self._read_slots(highest))
        growth = slots - self._slots
        evicted = self._evict(grams, changed)
        self._grams, self._slots = evicted[0], slots
        *tables, submitted = np.split(growth, self._splits)
        rows = dict(zip(_TABLES, (t.reshape(self._workloads, -1) for t in tables), strict=True))
        return Counts(grams=changed, **rows, submitted=submitted, evicted=evicted[1])

    def _read_slots(self, highest: int | None) -> NDArray[np.uint64]:
        maps, rows = self._sensor.maps, None if highest is None else highest + 1
        parts = []
        for name in _TABLES:
            width = maps[name].max_entries // self._workloads
            parts.append(maps[name].array(None if rows is None else rows * width))
        return np.concatenate([*parts, maps["submitted"].array()])

    def _read_grams(self) -> NDArray[np.void]:
        keys, counts = self._sensor.maps["grams"].sums()
        parsed = np.ascontiguousarray(keys).view(self._key).ravel()
        grams = np.zeros(len(parsed), _SEQUENCE_DTYPE)
        for name in ("workload", "role", "word"):
            grams[name] = parsed[name]
        grams["count"] = counts
        return grams[np.lexsort((grams["word"], grams["role"], grams["workload"]))]

    def _evict(
        self, grams: NDArray[np.void], changed: NDArray[np.void]
    ) -> tuple[NDArray[np.void], int]:
        """Makes room: what did not change since the last reading goes, rarest first."""
        room = self._sensor.maps["grams"].max_entries
        if len(grams) <= _EVICT_ABOVE * room:
            return grams, 0
        idle = ~_contains(changed, grams)
        order = np.flatnonzero(idle)[np.argsort(grams["count"][idle], kind="stable")]
        gone = order[: len(grams) - int(_EVICT_ABOVE * room / 2)]
        keys = np.zeros(len(gone), self._key)
        for name in ("workload", "role", "word"):
            keys[name] = grams[name][gone]
        self._sensor.maps["grams"].delete_many(keys.view(np.uint8).reshape(len(gone), -1))
        return np.delete(grams, gone), len(gone)

    def keep(self) -> None:
        """Take what was read as told: after the end of this process, the next goes on from there.

        A process killed before this tells it again, and one killed after it does not.
        """
        self._run.mkdir(parents=True, exist_ok=True)
        # One file: what belongs together is replaced together.
        fresh = self._run / f"{_FILE}.new"
        with fresh.open("wb") as file:
            np.savez(file, ids=self._ids, slots=self._slots, grams=self._grams)
        fresh.replace(self._run / _FILE)


def _identity(grams: NDArray[np.void]) -> NDArray[np.void]:
    return grams[["workload", "role", "word"]]


def _contains(some: NDArray[np.void], of: NDArray[np.void]) -> NDArray[np.bool_]:
    """For each of `of`, whether it is among `some`; both sorted, `some` a subset."""
    if not len(some):
        return np.zeros(len(of), bool)
    at = np.minimum(_search(some, of), len(some) - 1)
    return np.asarray(_identity(some)[at] == _identity(of))


def _search(where: NDArray[np.void], what: NDArray[np.void]) -> NDArray[np.intp]:
    """Positions by binary search over (workload and role, word), without structured comparison."""
    both = np.concatenate([where, what])
    upper = (both["workload"].astype(np.uint64) << np.uint64(16)) | both["role"]
    order = np.lexsort((np.arange(len(both)) < len(where), both["word"], upper))
    is_where = order < len(where)
    before: NDArray[np.intp] = np.cumsum(is_where) - is_where
    positions = np.zeros(len(both), np.intp)
    positions[order] = before
    return positions[len(where) :]


def _difference(before: NDArray[np.void], now: NDArray[np.void]) -> NDArray[np.void]:
    """What grew, with by how much."""
    known: NDArray[np.bool_] = _contains(before, now)
    growth = now.copy()
    if known.any():
        at = _search(before, now[known])
        growth["count"][known] -= np.minimum(before["count"][at], growth["count"][known])
    return growth[growth["count"] > 0]
