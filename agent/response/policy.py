"""Which step a verdict deserves: a pure decision, no clock, no I/O."""

from dataclasses import dataclass

from agent.response.containment import Step
from detectors.assessment import BaselineState, Level


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
    """

    permitted: Step
    level: Level
    state: BaselineState
    lost: int
    sensitive: bool
    breaker_open: bool


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

    Critical earns the highest step there is, high at most `contain`, medium and
    low an alert, info nothing. Only a guarding baseline acts. A window with
    loss acts only on a critical verdict with a sensitive item: such an item was
    seen, whatever else was not, while scores and absences may come of the loss.
    """
    wanted = _wanted(evidence.level)
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


def _wanted(level: Level) -> Step:
    if level >= Level.CRITICAL:
        return Step.KILL
    if level >= Level.HIGH:
        return Step.CONTAIN
    return Step.ALERT if level >= Level.LOW else Step.OBSERVE


def _refusal(evidence: Evidence) -> str:
    if evidence.state is not BaselineState.GUARDING:
        return f"the baseline is {evidence.state.value}; only a guarding one acts"
    if evidence.lost and not (evidence.sensitive and evidence.level >= Level.CRITICAL):
        return f"{evidence.lost} records of the window were lost, and nothing sensitive was seen"
    if evidence.breaker_open:
        return "the breaker is open: too many containments in a short time"
    return ""
