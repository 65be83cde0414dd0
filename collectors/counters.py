"""The kernel's counters as differences: exact 7-gram counts, totals and losses per workload.

The maps only ever grow, so that nothing is lost when the agent is not there. What was
already told is kept in a file in the run directory, which lives as long as the
kernel's maps do: after `kill -9`, the next reading goes on from there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from collectors.grams import GRAM, GramTable, difference, joined
from collectors.requests import Requests, Traffic
from collectors.uploads import Upload, Uploads
from probes import layout
from probes.handover import Before
from probes.loader import Sensor
from probes.schema import Schema

_FILE: Final = "counted.npy"
_NOBODYS: Final = 0  # no map has this id
_TABLES: Final = ("totals", "losses", "file_bytes", "peer_bytes", "peer_connections")
"""Array maps with one row per workload."""
_INDEX_DTYPE: Final = np.dtype([("name", "S32"), ("id", "<u4"), ("length", "<u4"), ("used", "<u4")])


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
        uploads: By workload, whom it sent most to on its own connections.
        traffic: By workload, what was asked of it, if anything was or is under way.
        evicted: 7-grams taken out of the kernel's table for want of room; none had changed.
    """

    grams: NDArray[np.void]
    totals: NDArray[np.uint64]
    losses: NDArray[np.uint64]
    file_bytes: NDArray[np.uint64]
    peer_bytes: NDArray[np.uint64]
    peer_connections: NDArray[np.uint64]
    submitted: NDArray[np.uint64]
    evicted: int
    uploads: Mapping[int, tuple[Upload, ...]] = field(default_factory=dict)
    traffic: Mapping[int, Traffic] = field(default_factory=dict)

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
        self._table = GramTable(sensor.maps, self._schema)
        self._sent = self._schema.enum("counter")["COUNT_SENT_INITIATED"]
        self._asked = self._schema.enum("counter")["COUNT_REQUESTS"]
        self._ended = self._schema.enum("counter")["COUNT_ANSWERED"]
        self._uploads, self._requests = Uploads(sensor), Requests(sensor)
        self._workloads = self._schema.limit("MAX_WORKLOADS")
        self._grams = np.zeros(0, GRAM)
        self._tables = (*_TABLES, "submitted")
        sizes = [sensor.maps[name].max_entries for name in self._tables]
        self._slots = np.zeros(sum(sizes), np.uint64)
        self._splits = np.cumsum(sizes)[:-1]
        self._rest: Counts | None = None
        self._under_way = False
        kept = self._kept()
        if not kept and not sensor.resumed:
            self.read()  # what was counted before anybody remembers is no news
            self.keep()
            return
        self._resume(kept)

    def _kept(self) -> dict[str, NDArray[Any]]:
        """What was told last, and of which maps; empty if nobody wrote it down."""
        try:
            with (self._run / _FILE).open("rb") as file:
                return read_kept(file)
        except (OSError, ValueError, IndexError, EOFError):
            return {}

    def _resume(self, kept: dict[str, NDArray[Any]]) -> None:
        """Go on behind what was told; what an earlier object counted since is still to come."""
        before = self._sensor.before
        tables = np.split(self._slots, self._splits)
        rest = [np.zeros(len(each), np.uint64) for each in tables]
        for at, name in enumerate(self._tables):
            of = int(kept.get(f"id.{name}", _NOBODYS))
            if of == self._sensor.maps[name].id and len(kept[name]) == len(tables[at]):
                tables[at][:] = kept[name]
            elif before is not None and name in before.maps:
                counted = before.maps[name].array()
                if of == before.maps[name].id and len(kept[name]) == len(counted):
                    counted -= np.minimum(kept[name], counted)
                rest[at] = layout.table(name, counted, before.schema, self._schema, len(tables[at]))
        grams = self._resume_grams(kept, before)
        self._rest = self._counts(grams, np.concatenate(rest), 0)

    def _resume_grams(
        self, kept: dict[str, NDArray[Any]], before: Before | None
    ) -> NDArray[np.void]:
        of = int(kept.get("id.grams", _NOBODYS))
        if of == self._sensor.maps["grams"].id:
            self._grams = kept["grams"]
        if before is None or not {"grams", "gram_counts"} <= set(before.maps):
            return np.zeros(0, GRAM)
        told = kept["grams"] if of == before.maps["grams"].id else np.zeros(0, GRAM)
        return difference(told, GramTable(before.maps, before.schema).read())

    def read(self, highest: int | None = None) -> Counts:
        """What was counted since the last call.

        Args:
            highest: Highest workload number in use; the rows above are not looked at. None: all.
        """
        grams = self._table.read()
        changed = difference(self._grams, grams)
        slots = np.maximum(self._slots, self._read_slots(highest))
        growth = slots - self._slots
        self._grams, late, evicted = self._table.evict(grams, changed)
        self._slots = slots
        counts = self._counts(joined(changed, late) if len(late) else changed, growth, evicted)
        if self._rest is not None:
            counts, self._rest = _joined(counts, self._rest), None
        if counts.totals[:, self._sent].any():
            counts = replace(counts, uploads=self._uploads.read())
        if counts.totals[:, [self._asked, self._ended]].any() or self._under_way:
            traffic = self._requests.read()
            self._under_way = any(one.under_way for one in traffic.values())
            counts = replace(counts, traffic=traffic)
        return counts

    def _counts(self, grams: NDArray[np.void], growth: NDArray[np.uint64], evicted: int) -> Counts:
        *tables, submitted = np.split(growth, self._splits)
        shaped = (table.reshape(self._workloads, -1) for table in tables)
        rows: dict[str, Any] = dict(zip(_TABLES, shaped, strict=True))
        return Counts(grams=grams, **rows, submitted=submitted, evicted=evicted, uploads={})

    def _read_slots(self, highest: int | None) -> NDArray[np.uint64]:
        maps, rows = self._sensor.maps, None if highest is None else highest + 1
        parts = []
        for name in _TABLES:
            width = maps[name].max_entries // self._workloads
            parts.append(maps[name].array(None if rows is None else rows * width))
        return np.concatenate([*parts, maps["submitted"].array()])

    def keep(self) -> None:
        """Take what was read as told: after the end of this process, the next goes on from there.

        A process killed before this tells it again, and one killed after it does not.
        """
        self._run.mkdir(parents=True, exist_ok=True)
        ids = {name: self._sensor.maps[name].id for name in (*self._tables, "grams")}
        tables = zip(self._tables, np.split(self._slots, self._splits), strict=True)
        # One file: what belongs together is replaced together.
        fresh = self._run / f"{_FILE}.new"
        with fresh.open("wb") as file:
            write_kept(file, ids, dict(tables), self._grams)
        fresh.replace(self._run / _FILE)


def write_kept(
    file: BinaryIO,
    ids: Mapping[str, int],
    tables: Mapping[str, NDArray[np.uint64]],
    grams: NDArray[np.void],
) -> None:
    """Write what was told, without zeros: of thirty thousand counters some hundred are in use.

    Args:
        file: Opened for writing.
        ids: Of the maps that tables and grams were read from, by name.
        tables: By name; each shape (entries,).
        grams: As in `Counts`.
    """
    used = {name: np.flatnonzero(table) for name, table in tables.items()}
    index = [(n, ids[n], len(tables.get(n, ())), len(used.get(n, ()))) for n in ids]
    at = np.concatenate(list(used.values()))
    values = np.concatenate([tables[name][places] for name, places in used.items()])
    for each in (np.array(index, _INDEX_DTYPE), at, values, grams):
        np.save(file, each, allow_pickle=False)


def read_kept(file: BinaryIO) -> dict[str, NDArray[Any]]:
    """Return what `write_kept` wrote: tables and `grams` by name, each map's id as `id.NAME`.

    Raises:
        ValueError, IndexError or EOFError: the file is damaged, or another version's.
    """
    index, at, values, grams = (np.load(file, allow_pickle=False) for _ in range(4))
    kept: dict[str, NDArray[Any]] = {"grams": grams}
    start = 0
    for raw, number, length, used in index.tolist():
        name, chosen = raw.decode(), slice(start, start + used)
        kept[f"id.{name}"] = np.array(number)
        if name not in kept:
            kept[name] = np.zeros(length, np.uint64)
            kept[name][at[chosen]] = values[chosen]
        start += used
    return kept


def _joined(first: Counts, second: Counts) -> Counts:
    """Two readings as one."""
    tables = {n: getattr(first, n) + getattr(second, n) for n in (*_TABLES, "submitted")}
    evicted = first.evicted + second.evicted
    grams = joined(first.grams, second.grams)
    return Counts(grams=grams, **tables, evicted=evicted, uploads={})
