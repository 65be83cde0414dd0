"""Which step a verdict deserves: a pure decision, no clock, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from agent.response.containment import Step
from detectors.assessment import BaselineState, Level

EARNED: Final[Mapping[Level, Step]] = {
    Level.INFO: Step.OBSERVE,
    Level.LOW: Step.ALERT,
    Level.MEDIUM: Step.ALERT,
    Level.HIGH: Step.CONTAIN,
    Level.CRITICAL: Step.KILL,
}
"""The step of each level, unless the operator chose others."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known when the decision is made.

    Attributes:
        permitted: The highest step the operator allows for this workload (`respond`).
        level: Of the verdict.
        state: Of the baseline.
        lost: Records lost in the window.
        sensitive: Whether something sensitive was seen for the first time.
        breaker_open: Whether too many containments began lately.
        steps: The step that each level earns.
    """

    permitted: Step
    level: Level
    state: BaselineState
    lost: int
    sensitive: bool
    breaker_open: bool
    steps: Mapping[Level, Step] = field(default_factory=lambda: EARNED)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do.

    Attributes:
        step: The step to take.
        wanted: The step the verdict alone would have had: what a dry run shows.
        reason: Why `step` is less than `wanted`; "" where it is not.
    """

    step: Step
    wanted: Step
    reason: str


def decide(evidence: Evidence) -> Decision:
    """Return the step for one verdict.

    Each level earns the step that the operator chose for it, `EARNED` by default,
    at most `permitted`. Only a guarding baseline acts. A window with
    loss acts only on a critical verdict with a sensitive item: such an item was
    seen, whatever else was not, while scores and absences may come of the loss.
    """
    wanted = evidence.steps[evidence.level]
    allowed = min(wanted, evidence.permitted)
    if allowed <= Step.ALERT:
        short = (
            ""
            if allowed == wanted
            else f"the configuration allows no more than {evidence.permitted.label}"
        )
        return Decision(allowed, wanted, short)
    refusal = _refusal(evidence)
    if refusal:
        return Decision(Step.ALERT, wanted, refusal)
    short = (
        ""
        if allowed == wanted
        else f"the configuration allows no more than {evidence.permitted.label}"
    )
    return Decision(allowed, wanted, short)


def _refusal(evidence: Evidence) -> str:
    if evidence.state is not BaselineState.GUARDING:
        return f"the baseline is {evidence.state.value}; only a guarding one acts"
    if evidence.lost and not (evidence.sensitive and evidence.level >= Level.CRITICAL):
        return f"{evidence.lost} records of the window were lost, and nothing sensitive was seen"
    if evidence.breaker_open:
        return "the breaker is open: too many containments in a short time"
    return ""
