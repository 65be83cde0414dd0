"""Tells a lasting drift from bad weather: Page's test on how unusual windows are.

Page, "Continuous inspection schemes", Biometrika 41, 1954, in Hinkley's form: the sum of how much
each value exceeds what is allowed, never below zero. A drift only *questions* a baseline: readings
that moved for good may be a new client or a patient attacker, and which of them a person decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from detectors.errors import CalibrationError

ALLOWED: Final = 0.6
"""Mean of 1 - p that is no drift: calibrated windows have one half, those with margins less."""

LIMIT: Final = 200.0
"""Sum at which it is one. Windows at the very edge of what was learnt (p = .1) reach it after 670
bets, those beyond (p near 0) after 500. Calibrated ones stay below it, however much neighbours
resemble each other: at a lag-1 autocorrelation of .9 one excursion has a chance of exp(-25)."""


@dataclass(slots=True)
class Drift:
    """Sums excess. One per workload; bytes are its one number.

    Attributes:
        excess: The sum, >= 0.
    """

    excess: float = 0.0

    def update(self, p_value: float) -> bool:
        """Take one bet's p-value in; return whether this is a drift by now.

        Raises:
            CalibrationError: not in (0, 1].
        """
        if not 0.0 < p_value <= 1.0:
            raise CalibrationError(f"{p_value} is no p-value")
        self.excess = max(0.0, self.excess + (1.0 - p_value) - ALLOWED)
        return self.excess >= LIMIT

    def reset(self) -> None:
        """Begin anew: another baseline, or a person looked."""
        self.excess = 0.0
