"""How unusual a window's resource use is, and which readings make it so.

Readings are heavy-tailed, so they are scored as logarithms against median and quartiles. Their
covariance comes from scikit-learn's Ledoit-Wolf shrinkage, which stays invertible with fewer
windows than a full estimate needs ("A well-conditioned estimator for large-dimensional
covariance matrices", 2004). Two things are put in by hand, because no short learning phase
shows them: traffic may be ten times what was seen, which moves all readings that follow load
together and is no attack; and less than usual is no attack either. So the score is a Mahalanobis
distance over what is larger than usual, in which the direction "more load" is cheap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.assessment import FeatureShare
from detectors.errors import FeatureError
from detectors.features import FEATURES

MIN_ROWS: Final = 8
"""Windows needed for a fit."""

LOAD_FACTOR: Final = 10.0
"""Traffic up to this multiple of the learnt one lies within two standard deviations."""

_SCALE_FLOOR: Final = 0.25
"""Least standard deviation of a logarithm: seconds of learning look steadier than a day."""

_WINSOR: Final = 4.0
"""Standard deviations at which one wild window stops pulling the covariance."""

_QUANTA: Final = {"ms": 1.0, "1/s": 1.0, "B/s": 4096.0, "B": 1048576.0, "%": 5.0, "1": 1.0}
"""By unit: changes below this are noise. A page, a MiB, a twentieth of a core, one thing."""

_QUANTUM: Final = np.array([_QUANTA[feature.unit] for feature in FEATURES])
_FOLLOWS_LOAD: Final = np.array([feature.follows_load for feature in FEATURES])
_JUDGED: Final = np.array([feature.judged for feature in FEATURES])

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ResourceModel:
    """What is needed to score: arrays only, so that it is stored without pickle.

    Attributes:
        columns: Shape (k,), positions in FEATURES that are judged and were read while learning.
        centre: Shape (k,), median of the logarithms.
        scale: Shape (k,), robust standard deviation of the logarithms.
        precision: Shape (k, k), inverse covariance.
        low: Shape (k,), lowest ordinary reading, in the feature's unit.
        high: Shape (k,), highest ordinary reading.
    """

    columns: NDArray[np.int64]
    centre: Floats
    scale: Floats
    precision: Floats
    low: Floats
    high: Floats

    def score(self, row: Floats) -> float | None:
        """Return how much more than usual this window used. Changes nothing.

        Args:
            row: Shape (len(FEATURES),), as `features.vector` returns; NaN was not read and
                counts as usual.

        Returns:
            Mahalanobis distance, >= 0; None if none of the learnt features was read.

        Raises:
            FeatureError: another shape, or an infinity.
        """
        excess = self._excess(row)
        if excess is None:
            return None
        return math.sqrt(max(0.0, float(excess @ self.precision @ excess)))

    def _excess(self, row: Floats) -> Floats | None:
        if row.shape != (len(FEATURES),) or np.isinf(row).any():
            raise FeatureError(f"expected {len(FEATURES)} finite values or NaN")
        read = row[self.columns]
        if not len(read) or np.isnan(read).all():
            return None
        deviation = (np.log1p(read / _QUANTUM[self.columns]) - self.centre) / self.scale
        excess: Floats = np.where(np.isnan(deviation), 0.0, np.maximum(deviation, 0.0))
        return excess

    def shares(self, row: Floats) -> tuple[FeatureShare, ...]:
        """Return each feature's part in the score, largest first; the shares add up to 1.

        Empty if nothing was above usual.
        """
        excess = self._excess(row)
        if excess is None:
            return ()
        parts = np.maximum(excess * (self.precision @ excess), 0.0)
        if parts.sum() == 0:
            return ()
        parts = parts / parts.sum()
        order = np.argsort(-parts, kind="stable")[: np.count_nonzero(parts)]
        columns = self.columns[order]
        numbers = (row[columns], self.low[order], self.high[order], parts[order])
        rows = zip(columns.tolist(), *(each.tolist() for each in numbers), strict=True)
        return tuple(
            FeatureShare(FEATURES[column].name, FEATURES[column].unit, *figures)
            for column, *figures in rows
        )

    def learned_high(self, name: str) -> float | None:
        """Return the highest ordinary reading of a feature; None if it was not learnt."""
        for at, column in enumerate(self.columns):
            if FEATURES[column].name == name:
                return float(self.high[at])
        return None


def fit(rows: Floats) -> ResourceModel:
    """Learn from the windows of a learning phase. Deterministic.

    Loads scikit-learn, which takes seconds and some 160 MB: call it in a worker process where
    that matters, it takes and returns arrays only.

    Args:
        rows: Shape (n, len(FEATURES)); NaN where not read.

    Raises:
        FeatureError: another shape, an infinity, or fewer than `MIN_ROWS` rows.
    """
    if rows.ndim != 2 or rows.shape[1] != len(FEATURES) or np.isinf(rows).any():  # noqa: PLR2004
        raise FeatureError(f"expected rows of {len(FEATURES)} finite values or NaN")
    if len(rows) < MIN_ROWS:
        raise FeatureError(f"{len(rows)} windows are fewer than {MIN_ROWS}")
    mostly_read = np.isnan(rows).mean(axis=0) < 0.5  # noqa: PLR2004 - more often than not
    columns = np.flatnonzero(mostly_read & _JUDGED)
    logs = _logarithm(rows)[:, columns]
    quartiles = np.nanpercentile(logs, [25, 50, 75], axis=0)
    scale = np.maximum((quartiles[2] - quartiles[0]) / 1.349, _SCALE_FLOOR)
    deviations = np.nan_to_num(np.clip((logs - quartiles[1]) / scale, -_WINSOR, _WINSOR))
    load = np.where(_FOLLOWS_LOAD[columns], np.log(LOAD_FACTOR) / 2 / scale, 0.0)
    covariance = _shrunk(deviations) + np.outer(load, load) + np.eye(len(columns))
    low, high = np.nanpercentile(rows[:, columns], [1, 99], axis=0)
    return ResourceModel(
        columns.astype(np.int64), quartiles[1], scale, np.linalg.inv(covariance), low, high
    )


def _shrunk(deviations: Floats) -> Floats:
    from sklearn.covariance import LedoitWolf  # noqa: PLC0415 - 160 MB that scoring never needs

    if not deviations.shape[1]:
        return np.zeros((0, 0))
    found: Floats = LedoitWolf(assume_centered=True).fit(deviations).covariance_
    return found


def _logarithm(rows: Floats) -> Floats:
    logs: Floats = np.log1p(rows / _QUANTUM)
    return logs
