"""Split-conformal p-values: the share of held-out ordinary windows at least as unusual.

Vovk, Gammerman and Shafer, "Algorithmic learning in a random world", 2005. The reference is
frozen. Neighbouring windows resemble each other, so it is thinned first: n dependent windows do
not carry the resolution of n independent ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.errors import CalibrationError

MAX_SCORES: Final = 20_000
"""Resolution 1/20,001; more would not move an alarm."""

MIN_SCORES: Final = 8
"""Below this no p-value says anything; thinning stops here."""

_THIN: Final = ((0.3, 1), (0.6, 2), (2.0, 4))
"""Up to this lag-1 autocorrelation every n-th window is kept. Every fourth brought the realised
false alarms of a martingale from six times to about the nominal rate at .905."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A frozen, sorted set of scores of ordinary windows.

    Attributes:
        scores: Shape (n,), ascending.
        stride: Every how many windows one was kept, and one should be bet on.
    """

    scores: Floats
    stride: int = 1

    @classmethod
    def of(cls, scores: Iterable[float]) -> Calibration:
        """Thin and sort the scores of consecutive ordinary windows.

        Raises:
            CalibrationError: a score is NaN or infinite.
        """
        series = np.array(list(scores), dtype=np.float64)
        if not np.isfinite(series).all():
            raise CalibrationError("a score is not finite")
        stride = stride_for(series)
        return cls(np.sort(series[::stride][-MAX_SCORES:]), stride)

    def p_value(self, score: float, lost: int = 0) -> float | None:
        """Return the p-value of one score. Changes nothing.

        Args:
            score: Larger is more unusual.
            lost: Records missing from the window: each counts as one ordinary window that was
                as unusual, so that doubt widens instead of hiding.

        Returns:
            In (0, 1], never below 1/(n+1); None with fewer than `MIN_SCORES` scores.

        Raises:
            CalibrationError: the score is NaN or infinite.
        """
        if not math.isfinite(score):
            raise CalibrationError("a score is not finite")
        if len(self.scores) < MIN_SCORES:
            return None
        above = len(self.scores) - int(np.searchsorted(self.scores, score, side="left"))
        return min(1.0, (1 + above + lost) / (len(self.scores) + 1))

    @property
    def resolution(self) -> float:
        """The smallest p-value it can give."""
        return 1.0 / (len(self.scores) + 1)


def stride_for(series: Floats) -> int:
    """Return every how many windows one may count as independent, keeping at least MIN_SCORES."""
    correlation = autocorrelation(series)
    stride = next(stride for limit, stride in _THIN if correlation < limit)
    return max(1, min(stride, len(series) // MIN_SCORES))


def autocorrelation(series: Floats) -> float:
    """Return the lag-1 autocorrelation of the ranks; 0 for constants and short series."""
    if len(series) < MIN_SCORES:
        return 0.0
    ranks = np.argsort(np.argsort(series, kind="stable"), kind="stable").astype(np.float64)
    if np.ptp(series) == 0:
        return 0.0
    centred = ranks - ranks.mean()
    return float((centred[1:] @ centred[:-1]) / (centred @ centred))
