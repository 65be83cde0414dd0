"""What a detector is worth on given scores: larger is more unusual; no threshold is chosen here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FALSE_ALARM_RATES: Final = ("0.01", "0.05", "0.10")

RESAMPLES: Final = 500
"""Of the bootstrap; its ends are then stable to about the third digit."""

Floats = NDArray[np.float64]


def rates(ordinary: Floats, attacks: Floats) -> dict[str, Any]:
    """Return the AUC, and the detection at each of the promised false-alarm rates."""
    return {
        "auc": auc(ordinary, attacks),
        "dr_at_far": {
            rate: detection_at(ordinary, attacks, float(rate)) for rate in FALSE_ALARM_RATES
        },
    }


def pooled(parts: Sequence[tuple[Floats, Floats]]) -> dict[str, Any]:
    """Return the figures of several comparisons: each attack against the ordinary of its part."""
    weights = [len(attacks) for _, attacks in parts]

    def mean(values: Iterable[float]) -> float:
        return float(np.average(list(values), weights=weights))

    return {
        "auc": mean(auc(*part) for part in parts),
        "dr_at_far": {
            rate: mean(detection_at(*part, float(rate)) for part in parts)
            for rate in FALSE_ALARM_RATES
        },
    }


def auc(ordinary: Floats, attacks: Floats) -> float:
    """Return the chance that an attack scores above an ordinary trace; ties count half."""
    return float(_placements(np.sort(ordinary), attacks).mean())


def _placements(ordinary: Floats, attacks: Floats) -> Floats:
    low = np.searchsorted(ordinary, attacks, side="left")
    high = np.searchsorted(ordinary, attacks, side="right")
    return np.asarray((low + high) / (2.0 * len(ordinary)))


def auc_interval(ordinary: Floats, attacks: Floats) -> list[float]:
    """Return the 95 % interval of the AUC over seeded resamples of both sets."""
    rng = np.random.default_rng(0)
    found = [
        auc(rng.choice(ordinary, len(ordinary)), rng.choice(attacks, len(attacks)))
        for _ in range(RESAMPLES)
    ]
    return [float(end) for end in np.percentile(found, [2.5, 97.5])]


def detection_at(ordinary: Floats, attacks: Floats, rate: float) -> float:
    """Return the share of attacks above the lowest threshold that keeps false alarms to `rate`."""
    allowed = int(rate * len(ordinary) + 1e-9)
    threshold = np.sort(ordinary)[len(ordinary) - allowed - 1]
    return float((attacks > threshold).mean())


def f1(detected: int, alarms: int, attacks: int) -> float:
    """Return the harmonic mean of precision and recall; 0 when nothing was detected."""
    return 2.0 * detected / (detected + alarms + attacks) if detected else 0.0


def best_f1(ordinary: Floats, attacks: Floats) -> float:
    """Return the F1 of the best threshold in hindsight: a ceiling, not a result."""
    levels = np.unique(attacks)
    detected = len(attacks) - np.searchsorted(np.sort(attacks), levels, side="left")
    alarms = len(ordinary) - np.searchsorted(np.sort(ordinary), levels, side="left")
    return float((2.0 * detected / (detected + alarms + len(attacks))).max())
