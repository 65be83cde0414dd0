"""Work that nobody asked for: processor or GPU beyond what the traffic explains.

A miner in a server's process computes whether or not requests come, and a model that is copied
out of the GPU is in no reply. What a byte of traffic costs, and what the server does when there is
none, is learnt; a server that computes for long after a request, silently, has shown that while it
was learnt, and is then not measured by this at all. Source of the idea: mining is the host
behaviour whose load does not follow requests (MITRE ATT&CK T1496.001).

A long answer that comes at its end moves no byte while it is computed, and a server whose threads
wait for each other by spinning takes the same processor for less on a busy host. So while a request
is under way, what one costs by the second is explained, whatever it moves. Who holds a request open
hides behind it as much work as requests are worth, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.errors import FeatureError
from detectors.features import FEATURES, NAMES

WORK: Final = (
    "cpu_percent",
    "gpu_percent",
    "gpu_launches",
    "gpu_fetched_bytes",
    "gpu_copied_bytes",
    "gpu_calls",
)
"""Stored by position: add at the end."""

DEMAND: Final = ("bytes_in", "bytes_out")
"""Traffic of requests and of replies: a reply that streams is asked for as long as it lasts."""

TOO_MUCH: Final = np.array([50.0, 50.0, 50.0, float(1 << 20), float(1 << 20), 50.0])
"""Beyond what is explained, in each reading's unit: half a core or GPU, more than any housekeeping
takes for long; launches a second, where one pass through a model makes hundreds; bytes a second, at
which 16 GB leave within hours (as of uploads); calls to a driver a second, as launches: no GPU was
there to measure."""

CLEARLY: Final = 2.5
"""Times what is explained, which is twice the dearest requests already. Half as much is too much
then: on a busy host a miner is given no more, and no housekeeping works a server that hard."""

_MIN_ROWS: Final = 8
_IDLE_SHARE: Final = 0.1
"""Of the median traffic: below it nobody is asking."""

_GENEROUS: Final = 2.0
"""Requests may cost twice the dearest ones learnt."""

_UNDER_WAY: Final = ("requests_under_way",)
_BUSY: Final = ("requests", "answer_wait_p50")
"""By Little's law their product is how many requests are under way at a time."""

_LEAST_BUSY: Final = 0.1
"""Requests under way at a time: where fewer were, work by the second would be a guess."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class UnaskedWork:
    """What work is explained by traffic. Arrays only, one place per name in WORK.

    Attributes:
        idle: Shape (len(WORK),), used at most while nobody asked; NaN where it was not learnt.
        cost: Shape (len(WORK),), per byte and second at most.
        busy: Shape (len(WORK),), per request and second that it is under way; NaN where that was
            not learnt.
    """

    idle: Floats
    cost: Floats
    busy: Floats

    def score(self, row: Floats) -> float | None:
        """Return how many times what is too much was done beyond what traffic explains.

        Changes nothing.

        Args:
            row: Shape (len(FEATURES),), as `features.vector` returns.

        Returns:
            >= 0, too much from 1; None if nothing was learnt, or traffic or work was not read.

        Raises:
            FeatureError: another shape, or an infinity.
        """
        found = self.excess(row)
        return max(found.values()) if found else None

    def excess(self, row: Floats) -> dict[str, float]:
        """Return the same by name of WORK; what is not known is absent."""
        if row.shape != (len(FEATURES),) or np.isinf(row).any():
            raise FeatureError(f"expected {len(FEATURES)} finite values or NaN")
        used, explained = _of(row, WORK), self.explained(row)
        clear = (explained > 0) & (used >= CLEARLY * explained)
        limits = np.where(clear, TOO_MUCH / 2, TOO_MUCH)
        beyond = np.maximum(0.0, (used - explained) / limits)
        return {
            name: float(value)
            for name, value in zip(WORK, beyond, strict=True)
            if not np.isnan(value)
        }

    def idles(self, row: Floats) -> bool:
        """Tell whether no more was done than when nobody asks: it is within `explained`."""
        used = _of(row, WORK)
        return not bool((used > self.idle).any())

    def explained(self, row: Floats) -> Floats:
        """Return what the traffic of a window explains: shape (len(WORK),), their units."""
        found: Floats = self.idle + self.cost * _demand(row)
        if (under_way := float(_of(row, _UNDER_WAY)[0])) > 0:
            by_time = self.idle + self.busy * under_way
            found = np.where(np.isnan(found), np.nan, np.fmax(found, by_time))
        return found


def padded(idle: Floats, cost: Floats, busy: Floats | None = None) -> UnaskedWork:
    """Return what a program learnt that knew fewer kinds of work: of the others, nothing."""
    nothing = np.full(len(WORK), np.nan)
    idle, cost, busy = (
        np.concatenate([array, nothing[len(array) :]])
        for array in (idle, cost, nothing if busy is None else busy)
    )
    return UnaskedWork(idle, cost, busy)


def fit(rows: Floats) -> UnaskedWork:
    """Learn from the windows of a learning phase. Deterministic.

    Args:
        rows: Shape (n, len(FEATURES)); NaN where not read.

    Returns:
        One that scores None where fewer than half of the windows had traffic.

    Raises:
        FeatureError: another shape, or an infinity.
    """
    if rows.ndim != 2 or rows.shape[1] != len(FEATURES) or np.isinf(rows).any():  # noqa: PLR2004
        raise FeatureError(f"expected rows of {len(FEATURES)} finite values or NaN")
    demand, at_a_time = _demand(rows), _at_a_time(rows)
    under_way = _of(rows, _UNDER_WAY)[:, 0] > 0  # not for NaN
    idle, cost, by_time = (np.full(len(WORK), np.nan) for _ in range(3))
    asked = demand > 0
    if len(rows) >= _MIN_ROWS and asked.mean() >= 0.5:  # noqa: PLR2004 - half of them
        typical = float(np.median(demand[asked]))
        for at, name in enumerate(WORK):
            used = rows[:, NAMES.index(name)]
            read = np.isfinite(used) & np.isfinite(demand)
            busy = read & (demand >= _IDLE_SHARE * typical)
            if read.sum() >= _MIN_ROWS and busy.any():
                quiet = used[read & (demand < _IDLE_SHARE * typical) & ~under_way]
                idle[at] = float(quiet.max()) if len(quiet) else 0.0
                cost[at] = _GENEROUS * float(np.percentile(used[busy] / demand[busy], 95))
                by_time[at] = float(np.percentile(used[busy] / at_a_time[busy], 95))
    return UnaskedWork(idle, cost, by_time)


def _at_a_time(rows: Floats) -> Floats:
    """Return how many requests were under way at a time, one where it was not read; shape (n,)."""
    a_second, wait_ms = _of(rows, _BUSY).T
    found: Floats = np.maximum(np.nan_to_num(a_second * wait_ms / 1000, nan=1.0), _LEAST_BUSY)
    return found


def _demand(rows: Floats) -> Floats:
    """Return the traffic that was read; NaN where none was."""
    read = _of(rows, DEMAND)
    unread = np.isnan(read)
    found: Floats = np.where(unread.all(axis=-1), np.nan, np.where(unread, 0.0, read).sum(axis=-1))
    return found


def _of(rows: Floats, names: tuple[str, ...]) -> Floats:
    found: Floats = rows[..., _columns(names)]
    return found


@lru_cache(maxsize=8)
def _columns(names: tuple[str, ...]) -> list[int]:
    return [NAMES.index(name) for name in names]
