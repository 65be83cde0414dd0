"""What the operator sets about learning and alarms."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """Gates of a baseline's life and the false-alarm budget of one workload.

    Attributes:
        min_windows: Windows with activity before shadow.
        quiet_s: And so long without anything new, in seconds.
        shadow_s: And so long scored without acting.
        false_alarms_per_month: Budget of the evidence over time.
        min_coverage: Share of recent 7-gram counts the model must have known beforehand.
        theft_percent: Shares of the weights, ascending, that new peers may not be sent.
    """

    min_windows: int = 300
    quiet_s: float = 120.0
    shadow_s: float = 300.0
    false_alarms_per_month: float = 1.0
    min_coverage: float = 0.9
    theft_percent: tuple[float, ...] = (1.0, 10.0)
