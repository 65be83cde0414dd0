"""Evidence over time: bets against "all is as learned", with a false-alarm budget.

A p-value p is turned into a bet by the mixture of eps * p**(eps - 1) over eps in (0, 1), whose
expectation is at most 1 while the workload behaves as calibrated (Vovk and Wang, "E-values:
calibration, combination and applications", 2021). Channels are merged by their mean, which
keeps that bound under any dependence. The running evidence is the e-process of Shin, Ramdas and
Rinaldo ("E-detectors", 2022) in Shiryaev-Roberts form, E := (E + 1) * e: it starts anew at every
step, and the mean number of bets between false alarms at threshold c is at least c. It bounds
that mean run length, not the chance of ever alarming.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from detectors.errors import CalibrationError

MONTH_S: Final = 30 * 86_400.0

CEILING: Final = 1e12
"""Evidence is cut here, so that an old episode is forgotten within a few ordinary windows."""


def e_value(p_value: float) -> float:
    """Return the mixture bet on one p-value: (1 - p + p ln p) / (p ln(p)**2).

    Raises:
        CalibrationError: not in (0, 1].
    """
    if not 0.0 < p_value <= 1.0:
        raise CalibrationError(f"{p_value} is no p-value")
    if p_value > 1 - 1e-4:
        return 0.5  # the limit for p = 1; the formula divides 0 by 0 there
    log = math.log(p_value)
    return (1 - p_value + p_value * log) / (p_value * log * log)


def merged(p_values: Sequence[float]) -> float | None:
    """Return the mean bet of several channels; None without any."""
    if not p_values:
        return None
    return sum(e_value(p) for p in p_values) / len(p_values)


def alarm_threshold(false_alarms_per_month: float, bet_every_s: float) -> float:
    """Return the evidence that costs one false alarm of the budget.

    Args:
        false_alarms_per_month: What the operator accepts, per workload.
        bet_every_s: Seconds between two bets: window length times stride.

    Raises:
        CalibrationError: one of them is not positive.
    """
    if false_alarms_per_month <= 0 or bet_every_s <= 0:
        raise CalibrationError("budget and window length must be positive")
    return max(1.0, MONTH_S / bet_every_s / false_alarms_per_month)


@dataclass(slots=True)
class EProcess:
    """Running evidence of one workload.

    Attributes:
        stride: Windows per bet. The ones between are passed over whatever they show: which
            window is bet on must not depend on its p-value.
        evidence: Current value, >= 0.
        skipped: Windows since the last bet.
    """

    stride: int = 1
    evidence: float = 0.0
    skipped: int = 0

    def update(self, p_values: Sequence[float]) -> float:
        """Take one window in and return the evidence; a window without p-values changes nothing."""
        bet = merged(p_values)
        if bet is None:
            return self.evidence
        self.skipped += 1
        if self.skipped >= self.stride:
            self.skipped = 0
            self.evidence = min(CEILING, (self.evidence + 1.0) * bet)
        return self.evidence

    def reset(self) -> None:
        """Forget all evidence: after an approval, or when another baseline takes over."""
        self.evidence = 0.0
        self.skipped = 0
