"""Requests on accepted connections: the kernel's counts by route and client, as differences.

Both maps are bounded. Of routes those that stand still are taken out before the map is full; a
client that was forgotten begins anew. What was counted while no agent ran is in no difference.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collectors.routes import OTHERS, STREAMS, route
from collectors.sightings import text
from probes.loader import Sensor

_EVICT_ABOVE: Final = 0.75
"""Share of the map's room."""

_UNIT_MS: Final = 1024 / 1e6
"""Of the kernel's times: 1,024 ns."""

_FINE: Final = 4
"""Buckets for each power of two of `waits`."""

_BITS: Final = 256
"""Of a client's map of different inputs."""

_DENIED: Final = 7
"""As `enum answer_class`."""

_COUNTS: Final = ("requests", "answered", "bytes_in", "bytes_out", "busy_ns")


@dataclass(frozen=True, slots=True)
class RouteTraffic:
    """What one kind of request came to.

    Attributes:
        route: ``POST /v1/completions``.
        answers: Heads of answers sent, of any status.
        errors: Of those 5xx.
        refusals: 4xx.
        answered: Requests at their end, however they ended.
        denied: Of the refusals, 401, 403, 404 and 405.
    """

    route: str
    requests: int = 0
    answered: int = 0
    answers: int = 0
    errors: int = 0
    refusals: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    denied: int = 0


@dataclass(frozen=True, slots=True)
class ClientTraffic:
    """What one address asked for; behind a proxy, all that it speaks for.

    Attributes:
        errors: Answered with 4xx or 5xx.
        inputs: Different targets and lengths in the last half minute or so, estimated.
    """

    address: str
    requests: int
    bytes_in: int
    errors: int
    inputs: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """One workload's requests between two readings.

    Attributes:
        routes: Most requests first.
        clients: Addresses that asked; most requests first, `MOST` of them.
        client_count: How many asked.
        by_peer: Requests by class of the client's address.
        unanswered: Requests whose connection ended before an answer.
        under_way: Requests not answered to their end, now.
        busy_ns: Time of those that were, added up.
        waits: Shape (WAIT_BUCKETS,): answers by the time to their first byte.
        gaps: Shape (GAP_BUCKETS,): packets of streamed answers by the time between them.
    """

    routes: tuple[RouteTraffic, ...]
    clients: tuple[ClientTraffic, ...]
    client_count: int
    by_peer: Mapping[str, int]
    unanswered: int
    under_way: int
    busy_ns: int
    waits: NDArray[np.int64]
    gaps: NDArray[np.int64]

    def total(self, name: str) -> int:
        """Of all routes, by an attribute of `RouteTraffic`."""
        return sum(getattr(one, name) for one in self.routes)

    def wait_ms(self, share: float) -> float | None:
        """Time within which this share of answers began; None if none did."""
        return quantile_ms(self.waits, share, _FINE)

    def gap_ms(self, share: float) -> float | None:
        """The same of the time between packets of a streamed answer."""
        return quantile_ms(self.gaps, share, 1)


MOST: Final = 8
"""Clients told of one workload and reading."""


def quantile_ms(buckets: NDArray[np.int64], share: float, fine: int) -> float | None:
    """The middle of the bucket that holds this share.

    Args:
        buckets: Counts by size; `fine` buckets for each power of two of 1,024 ns.
        share: 0 to 1.
        fine: 1 or 4.
    """
    total = int(buckets.sum())
    if not total:
        return None
    at = int(np.searchsorted(np.cumsum(buckets), max(1, share * total)))
    power, part = divmod(at, fine)
    return float(2.0**power * (1 + (part + 0.5) / fine) * _UNIT_MS)


class Requests:
    """Reads and subtracts. One instance per daemon.

    Attributes:
        evicted: Routes taken out of the kernel's map for want of room; none had changed.
    """

    def __init__(self, sensor: Sensor) -> None:
        """Take what was counted before as known."""
        self.sensor, self.evicted = sensor, 0
        schema = sensor.schema
        self._route_key, self._route = schema.dtype("route_key"), schema.dtype("route_counts")
        self._client_key, self._client = schema.dtype("client_key"), schema.dtype("client_counts")
        self._routes, self._clients = self._entries("routes"), self._entries("clients")

    def _entries(self, name: str) -> dict[bytes, np.void]:
        dtype = self._route if name == "routes" else self._client
        keys, values = self.sensor.maps[name].items()
        rows = np.ascontiguousarray(values).view(dtype).ravel()
        return {key.tobytes(): row for key, row in zip(keys, rows, strict=True)}

    def read(self) -> dict[int, Traffic]:
        """By workload number, what was asked and answered since the last reading.

        A workload with nothing under way and nothing new is absent.
        """
        routes, clients = self._entries("routes"), self._entries("clients")
        grown = _by_workload(routes, self._routes, self._route_key)
        asked = _by_workload(clients, self._clients, self._client_key)
        self._evict(routes)
        self._routes, self._clients = routes, clients
        found = {owner: self._traffic(rows, asked.get(owner, [])) for owner, rows in grown.items()}
        return {owner: one for owner, one in found.items() if one is not None}

    def _evict(self, routes: dict[bytes, np.void]) -> None:
        room = self.sensor.maps["routes"].max_entries
        if len(routes) <= _EVICT_ABOVE * room:
            return
        idle = [key for key, row in routes.items() if self._is_idle(key, row)]
        idle.sort(key=lambda key: int(routes[key]["requests"]))
        for key in idle[: len(routes) - int(_EVICT_ABOVE * room / 2)]:
            self.evicted += self.sensor.maps["routes"].delete(key)
            del routes[key]

    def _is_idle(self, key: bytes, row: np.void) -> bool:
        before = self._routes.get(key)
        same = before is not None and before["requests"] == row["requests"]
        return same and bool(row["requests"] <= row["answered"])

    def _traffic(self, rows: "list[_Grown]", asked: "list[_Grown]") -> Traffic | None:
        # Of all routes together: an answer far behind may have gone to another route's account.
        under_way = max(0, sum(int(r.now["requests"]) - int(r.now["answered"]) for r in rows))
        moved = [row for row in rows if row.moved]
        if not moved and not under_way:
            return None
        peers = {number: name for name, number in self.sensor.schema.enum("peer_class").items()}
        by_peer: dict[str, int] = defaultdict(int)
        for row in moved:
            name = peers[int(row.key["peer"])].removeprefix("PEER_").lower()
            by_peer[name] += row.of("requests")
        clients = sorted(filter(None, map(_client, asked)), key=lambda c: -c.requests)
        return Traffic(
            routes=_routes(moved),
            clients=tuple(clients[:MOST]),
            client_count=len(clients),
            by_peer=dict(by_peer),
            unanswered=sum(row.answers(0) for row in moved),
            under_way=under_way,
            busy_ns=sum(row.of("busy_ns") for row in moved),
            waits=_sum(moved, "waits", self._route),
            gaps=_sum(moved, "gaps", self._route),
        )


@dataclass(frozen=True, slots=True)
class _Grown:
    """One entry of a map, with what it was at the last reading."""

    key: np.void
    now: np.void
    before: np.void | None

    @property
    def moved(self) -> bool:
        return self.before is None or self.before.tobytes() != self.now.tobytes()

    def of(self, name: str) -> int:
        old = 0 if self.before is None else int(self.before[name])
        return max(0, int(self.now[name]) - old)

    def answers(self, kind: int) -> int:
        old = 0 if self.before is None else int(self.before["answers"][kind])
        return max(0, int(self.now["answers"][kind]) - old)


def _by_workload(
    now: Mapping[bytes, np.void], before: Mapping[bytes, np.void], dtype: np.dtype[np.void]
) -> dict[int, list[_Grown]]:
    found: dict[int, list[_Grown]] = defaultdict(list)
    for raw, row in now.items():
        key = np.frombuffer(raw, dtype)[0]
        found[int(key["workload"])].append(_Grown(key, row, before.get(raw)))
    return found


def _routes(rows: Iterable[_Grown]) -> tuple[RouteTraffic, ...]:
    sums: dict[str, list[int]] = {}
    for row in rows:
        told = (
            *(row.of(name) for name in ("requests", "answered")),
            sum(map(row.answers, range(1, 7))),
            row.answers(5),
            row.answers(4),
            row.of("bytes_in"),
            row.of("bytes_out"),
            row.answers(_DENIED),
        )
        name = route_name(row.key, row.now)
        mine = sums.setdefault(name, [0] * len(told))
        sums[name] = [a + b for a, b in zip(mine, told, strict=True)]
    found = (RouteTraffic(name, *counts) for name, counts in sums.items())
    return tuple(sorted(found, key=lambda one: (-one.requests, one.route)))


def route_name(key: np.void, counts: np.void) -> str:
    """Return what a route is called, of its entry in the kernel's map."""
    number = int(key["route"])
    if number in _UNNAMED:
        return _UNNAMED[number]
    path = text(counts["path"])
    width = counts.dtype["path"].itemsize
    return route(text(counts["method"]), path, truncated=len(path) >= width)


_UNNAMED: Final = {1: OTHERS, 2: STREAMS}
"""As `enum route_hash`."""


def _client(row: _Grown) -> ClientTraffic | None:
    if not (requests := row.of("requests")):
        return None
    raw = ipaddress.IPv6Address(row.key["remote"].tobytes())
    address = str(raw.ipv4_mapped or raw)
    return ClientTraffic(
        address, requests, row.of("bytes_in"), row.of("errors"), _inputs(row.now["inputs"])
    )


def _inputs(bits: NDArray[np.uint64]) -> int:
    """How many different ones set so many bits (linear counting, Whang and others, 1990)."""
    used = int(np.unpackbits(bits.view(np.uint8)).sum())
    empty = max(_BITS - used, 1)
    return round(-_BITS * float(np.log(empty / _BITS)))


def _sum(rows: Iterable[_Grown], name: str, dtype: np.dtype[np.void]) -> NDArray[np.int64]:
    total = np.zeros(dtype[name].shape, np.int64)
    for row in rows:
        total += row.now[name].astype(np.int64)
        if row.before is not None:
            total -= row.before[name].astype(np.int64)
    return np.maximum(total, 0)
