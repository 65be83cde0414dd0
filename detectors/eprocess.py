"""Evidence over time: bets against "all is as learned", with a false-alarm budget.

A p-value p is turned into a bet by the mixture of eps * p**(eps - 1) over eps in (0, 1), whose
expectation is at most 1 while the workload behaves as calibrated (Vovk and Wang, "E-values:
calibration, combination and applications", 2021). The running evidence is the e-detector of
Shin, Ramdas and Rinaldo ("E-detectors", 2022) in Shiryaev-Roberts form, E := (E + 1) * e: it
starts anew at every step, and the mean number of bets between false alarms at threshold c is at
least c. It bounds that mean run length, not the chance of ever alarming. Each channel bets for
itself and the evidence is their mean, which keeps the bound under any dependence and lets one
channel that is sure outweigh others that see nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """Running evidence of one workload, a bet per channel.

    Attributes:
        stride: Windows per bet. The ones between are passed over whatever they show: which
            window is bet on must not depend on its p-value.
        channels: Evidence of each, >= 0.
        skipped: Windows since the last bet.
    """

    stride: int = 1
    channels: dict[str, float] = field(default_factory=dict)
    skipped: int = 0

    @property
    def evidence(self) -> float:
        """The mean of all channels' evidence; 0 before the first bet."""
        return sum(self.channels.values()) / len(self.channels) if self.channels else 0.0

    def update(self, p_values: Mapping[str, float]) -> float:
        """Take one window in and return the evidence.

        A channel without a p-value in this window keeps what it has; a window without any is
        not counted.

        Args:
            p_values: By channel.
        """
        if not p_values:
            return self.evidence
        self.skipped += 1
        if self.skipped >= self.stride:
            self.skipped = 0
            for channel, p_value in p_values.items():
                before = self.channels.get(channel, 0.0)
                self.channels[channel] = min(CEILING, (before + 1.0) * e_value(p_value))
        return self.evidence

    def reset(self) -> None:
        """Forget all evidence: after an approval, or when another baseline takes over."""
        self.channels.clear()
        self.skipped = 0
