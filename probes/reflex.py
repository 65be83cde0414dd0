"""What the kernel answers by itself for a guarded workload: its orders, and whom it stopped.

All of it is pinned. An order ends by itself unless it is renewed, so that a reflex outlives the
agent for so long and no longer.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from probes.maps import BpfMap
from probes.schema import Schema

MAPS: Final = ("reflexes", "reflex_counts", "reflex_allowed", "reflex_stops")
ACTS: Final = {"exec": "REFLEX_EXEC", "connect": "REFLEX_CONNECT", "secret": "REFLEX_SECRET"}
"""By the words of the configuration."""

MOST_GRANTS: Final = 8_192
"""Of one workload: a fourth of the kernel's room."""

_DRY: Final = "REFLEX_DRY"
_FAMILIES: Final = {4: 2, 6: 10}  # AF_INET, AF_INET6
_NAME_BYTES: Final = 16
_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_KEY_FIELDS: Final = ("first", "second", "act", "port", "protocol", "family")


@dataclass(frozen=True, slots=True)
class Grant:
    """One thing that is allowed, as `struct reflex_key` has it; `act` is a name of its enum."""

    act: str
    first: int = 0
    second: int = 0
    port: int = 0
    protocol: int = 0
    family: int = 0


def of_file(act: str, dev: int, ino: int) -> Grant:
    """A program or a file, by the kernel's own number of its device."""
    return Grant(act, ino, dev)


def of_name(name: str) -> Grant:
    """Programs whose names begin so: as much as fits into a key."""
    raw = os.fsencode(name)[: _NAME_BYTES - 1].ljust(_NAME_BYTES, b"\0")
    return Grant("REFLEX_NAME", *(int.from_bytes(raw[at : at + 8], "little") for at in (0, 8)))


def of_peer(protocol: int, address: str, port: int) -> Grant:
    """An address with its port, 0 for any ephemeral one; ValueError if it is no address."""
    parsed = ipaddress.ip_address(address)
    raw = parsed.packed.ljust(16, b"\0")
    words = [int.from_bytes(raw[at : at + 4], "little") for at in range(0, 16, 4)]
    return Grant(
        ACTS["connect"],
        (words[0] << 32) | words[1],
        (words[2] << 32) | words[3],
        port,
        protocol,
        _FAMILIES[parsed.version],
    )


def of_port(protocol: int, port: int) -> Grant:
    """Every public address on a port."""
    return Grant("REFLEX_PORT", port=port, protocol=protocol)


@dataclass(frozen=True, slots=True)
class Order:
    """What the kernel is told of one workload.

    Attributes:
        acts: Words of `ACTS`.
        until_ns: CLOCK_MONOTONIC.
        limit: Different acts answered in `period_s`; beyond it, all are spared until it is over.
        dry: Tell, and do nothing.
    """

    acts: frozenset[str]
    until_ns: int
    limit: int
    period_s: float
    dry: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """What the kernel did about one workload.

    Attributes:
        done: Acts denied or stopped since the reflex began.
        spared: Acts that were let pass since there were too many.
        acts: Different ones in the period that began at `start_ns`.
    """

    done: int
    spared: int
    acts: int
    start_ns: int


@dataclass(frozen=True, slots=True)
class Stop:
    """One whom the kernel stopped. `start_ticks` is field 22 of /proc/PID/stat."""

    pid: int
    start_ticks: int
    workload: int
    time_ns: int
    key: bytes


class ReflexMaps:
    """The kernel's side; every method may raise ProbeError.

    Args:
        maps: At least those of `MAPS`, by name.
        schema: Of the object they belong to.
    """

    def __init__(self, maps: Mapping[str, BpfMap], schema: Schema) -> None:
        """Take the maps; what was ordered before stays."""
        self._orders, self._counts = maps["reflexes"], maps["reflex_counts"]
        self._allowed, self._stops = maps["reflex_allowed"], maps["reflex_stops"]
        self._order, self._count = schema.dtype("reflex"), schema.dtype("reflex_count")
        self._key, self._stop = schema.dtype("reflex_key"), schema.dtype("reflex_stop")
        self._acts = schema.enum("reflex_act")
        grants = schema.enum("reflex_grant")
        self._learnt = grants["REFLEX_LEARNT"].to_bytes(4, "little")
        self._released = grants["REFLEX_RELEASED"].to_bytes(4, "little")

    def order(self, workload: int, order: Order) -> None:
        """Have the kernel answer these acts until then."""
        value = np.zeros(1, self._order)
        value["until_ns"], value["limit"] = order.until_ns, order.limit
        value["period_ns"] = int(order.period_s * 1e9)
        flags = sum(self._acts[ACTS[word]] for word in order.acts)
        value["flags"] = flags | (self._acts[_DRY] if order.dry else 0)
        self._orders.set(_number(workload), value.tobytes())

    def cancel(self, workload: int) -> None:
        """Have it answer nothing, and forget what was allowed and counted."""
        self._orders.set(_number(workload), bytes(self._order.itemsize))
        self._counts.set(_number(workload), bytes(self._count.itemsize))
        for key in self._granted(workload):
            self._allowed.delete(key)

    def ordered(self) -> frozenset[int]:
        """Workloads that have an order, ended or not."""
        keys, values = self._orders.items()
        flags = values.view(self._order).ravel()["flags"]
        return frozenset(keys.view("<u4").ravel()[flags != 0].tolist())

    def allow(self, workload: int, grants: Collection[Grant]) -> None:
        """Allow these, and what an operator released; nothing else from now on."""
        wanted = {self._bytes(workload, grant) for grant in grants}
        there = self._granted(workload)
        for key in wanted - there.keys():
            self._allowed.set(key, self._learnt)
        for key, why in there.items():
            if key not in wanted and why != self._released:
                self._allowed.delete(key)

    def count(self, workload: int) -> Count:
        """What was done so far."""
        value = self._counts.get(_number(workload)) or bytes(self._count.itemsize)
        told = np.frombuffer(value, self._count)[0]
        return Count(*(int(told[name]) for name in ("done", "spared", "acts", "start_ns")))

    def stops(self) -> list[Stop]:
        """Everybody that was stopped and neither given back nor ended."""
        keys, values = self._stops.items()
        told = zip(keys.view("<u4").ravel(), values.view(self._stop).ravel(), strict=True)
        return [
            Stop(
                int(pid),
                int(value["start_ns"]) // _TICK_NS,
                int(value["key"]["workload"]),
                int(value["time_ns"]),
                value["key"].tobytes(),
            )
            for pid, value in told
        ]

    def let_off(self, stops: Iterable[Stop]) -> None:
        """Forget these, and allow from now on what they were stopped for."""
        for stop in stops:
            self._allowed.set(stop.key, self._released)
            self._stops.delete(_number(stop.pid))

    def _granted(self, workload: int) -> dict[bytes, bytes]:
        keys, values = self._allowed.items()
        if not len(keys):
            return {}
        mine = keys.view(self._key).ravel()["workload"] == workload
        pairs = zip(keys[mine], values[mine], strict=True)
        return {key.tobytes(): value.tobytes() for key, value in pairs}

    def _bytes(self, workload: int, grant: Grant) -> bytes:
        key = np.zeros(1, self._key)
        key["workload"] = workload
        for name in _KEY_FIELDS:
            value = getattr(grant, name)
            key[name] = self._acts[value] if name == "act" else value
        return key.tobytes()


def _number(number: int) -> bytes:
    return number.to_bytes(4, "little")
