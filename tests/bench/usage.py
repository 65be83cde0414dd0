"""What a process uses, read finer than the clock tick that psutil sees."""

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

NS_PER_S = 1_000_000_000
KIB_PER_MIB = 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """One reading of one process."""

    at_s: float  # time.monotonic
    cpu_s: float  # all threads that live
    rss_mib: float
    fds: int


def usage(pid: int) -> Usage:
    """Read it; FileNotFoundError when the process is gone."""
    root = Path("/proc", str(pid))
    spent_ns = 0
    for task in (root / "task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that just ended
            spent_ns += int((task / "schedstat").read_text().split()[0])
    rss = next(line for line in (root / "status").read_text().splitlines() if "VmRSS" in line)
    return Usage(
        time.monotonic(),
        spent_ns / NS_PER_S,
        int(rss.split()[1]) / KIB_PER_MIB,
        sum(1 for _ in (root / "fd").iterdir()),
    )


def percent(before: Usage, after: Usage) -> float:
    """Return the processor time between two readings, in percent of one core."""
    return 100 * (after.cpu_s - before.cpu_s) / (after.at_s - before.at_s)


@dataclass(frozen=True, slots=True)
class Slope:
    """A least-squares line's slope, per second, and half the width of its 95 % interval."""

    per_s: float
    margin: float

    @property
    def flat(self) -> bool:
        """Nothing speaks for a rise: the interval reaches down to zero."""
        return self.per_s - self.margin <= 0


def slope(at_s: Sequence[float], values: Sequence[float]) -> Slope:
    """Fit a line; NaN with fewer than three points.

    The interval takes neighbouring readings as independent, which they are not quite: it is a
    little too narrow, and calls a rise what may be a wave. Source: any text on regression.
    """
    n = len(at_s)
    if n < 3:  # two points leave nothing to estimate the spread from
        return Slope(math.nan, math.nan)
    mean_at, mean = sum(at_s) / n, sum(values) / n
    spread = sum((at - mean_at) ** 2 for at in at_s)
    rise = sum((at - mean_at) * (v - mean) for at, v in zip(at_s, values, strict=True)) / spread
    residual = sum(
        (v - mean - rise * (at - mean_at)) ** 2 for at, v in zip(at_s, values, strict=True)
    )
    return Slope(rise, 1.96 * math.sqrt(residual / (n - 2) / spread))
