"""Work that nobody asked for: processor or GPU time without the traffic that explains it.

A miner in a server's process computes whether or not requests come. What a byte of traffic costs,
and what the server does when there is none, is learnt; a server that computes for long after a
request, silently, has shown that while it was learnt, and is then not measured by this at all.
Source of the idea: mining is the host behaviour whose load does not follow requests (MITRE ATT&CK
T1496.001).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.errors import FeatureError
from detectors.features import FEATURES, NAMES

UNASKED: Final = "work-without-requests"
GRAVE: Final = "lasting"
"""Such work as an item, and the mark of one that has gone on for long."""

WORK: Final = ("cpu_percent", "gpu_percent")
DEMAND: Final = ("bytes_in", "bytes_out")
"""Traffic of requests and of replies: a reply that streams is asked for as long as it lasts."""

EXCESS_PERCENT: Final = 50.0
"""Of one core, or of the GPUs: half of one is more than any housekeeping takes for long."""

LASTING_NS: Final = 5_000_000_000
GRAVE_NS: Final = 30_000_000_000
"""So long without a break before it is worth telling, and before it is grave: collecting garbage
or writing a log takes a second or two."""

_MIN_ROWS: Final = 8
_IDLE_SHARE: Final = 0.1
"""Of the median traffic: below it nobody is asking."""

_GENEROUS: Final = 2.0
"""Requests may cost twice the dearest ones learnt."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class UnaskedWork:
    """What work is explained by traffic. Arrays only, one place per name in WORK.

    Attributes:
        idle: Shape (2,), percent used at most while nobody asked; NaN where it was not learnt.
        cost: Shape (2,), percent per byte and second at most.
    """

    idle: Floats
    cost: Floats

    def score(self, row: Floats) -> float | None:
        """Return how much more was computed than traffic explains. Changes nothing.

        Args:
            row: Shape (len(FEATURES),), as `features.vector` returns.

        Returns:
            Percent of one core or of the GPUs, >= 0; None if nothing was learnt, or traffic or
            work was not read.

        Raises:
            FeatureError: another shape, or an infinity.
        """
        if row.shape != (len(FEATURES),) or np.isinf(row).any():
            raise FeatureError(f"expected {len(FEATURES)} finite values or NaN")
        excess = _of(row, WORK) - (self.idle + self.cost * _demand(row))
        if np.isnan(excess).all():
            return None
        return max(0.0, float(np.nanmax(excess)))


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
    demand = _demand(rows)
    idle, cost = np.full(len(WORK), np.nan), np.full(len(WORK), np.nan)
    asked = demand > 0
    if len(rows) >= _MIN_ROWS and asked.mean() >= 0.5:  # noqa: PLR2004 - half of them
        typical = float(np.median(demand[asked]))
        for at, name in enumerate(WORK):
            used = rows[:, NAMES.index(name)]
            read = np.isfinite(used) & np.isfinite(demand)
            if read.sum() >= _MIN_ROWS:
                idle[at], cost[at] = _explained(used[read], demand[read], typical)
    return UnaskedWork(idle, cost)


def _explained(used: Floats, demand: Floats, typical: float) -> tuple[float, float]:
    quiet = used[demand < _IDLE_SHARE * typical]
    idle = float(quiet.max()) if len(quiet) else 0.0
    busy = demand >= _IDLE_SHARE * typical
    dearest = float(np.percentile(used[busy] / demand[busy], 95))
    return idle, _GENEROUS * dearest


def _demand(rows: Floats) -> Floats:
    """Return the traffic that was read; NaN where none was."""
    read = _of(rows, DEMAND)
    found: Floats = np.where(np.isnan(read).all(axis=-1), np.nan, np.nansum(read, axis=-1))
    return found


def _of(rows: Floats, names: tuple[str, ...]) -> Floats:
    found: Floats = rows[..., [NAMES.index(name) for name in names]]
    return found
