from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.response.containment import Step
from agent.response.policy import EARNED, Evidence, decide
from detectors.assessment import BaselineState, Level

SURE = Evidence(
    permitted=Step.FREEZE,
    level=Level.CRITICAL,
    state=BaselineState.GUARDING,
    lost=0,
    sensitive=True,
    breaker_open=False,
)

evidences = st.builds(
    Evidence,
    permitted=st.sampled_from(Step),
    level=st.sampled_from(Level),
    state=st.sampled_from(BaselineState),
    lost=st.integers(0, 3),
    sensitive=st.booleans(),
    breaker_open=st.booleans(),
)


@given(evidences)
def test_no_decision_exceeds_what_the_operator_permits(evidence: Evidence) -> None:
    assert decide(evidence).step <= evidence.permitted


@given(evidences)
def test_whatever_is_less_than_wanted_has_a_reason(evidence: Evidence) -> None:
    decision = decide(evidence)
    assert (decision.step < decision.wanted) == bool(decision.reason)


@given(evidences.filter(lambda evidence: evidence.state is not BaselineState.GUARDING))
def test_only_a_guarding_baseline_acts(evidence: Evidence) -> None:
    assert decide(evidence).step <= Step.ALERT


@given(evidences)
def test_an_open_breaker_never_acts(evidence: Evidence) -> None:
    assert decide(replace(evidence, breaker_open=True)).step <= Step.ALERT


@pytest.mark.parametrize(
    ("level", "step"),
    [
        (Level.CRITICAL, Step.FREEZE),
        (Level.HIGH, Step.CONTAIN),
        (Level.MEDIUM, Step.ALERT),
        (Level.LOW, Step.ALERT),
        (Level.INFO, Step.OBSERVE),
    ],
)
def test_a_level_earns_its_step(level: Level, step: Step) -> None:
    assert decide(replace(SURE, level=level)).step is step


def test_a_window_with_loss_acts_only_on_something_sensitive_and_critical() -> None:
    lossy = replace(SURE, lost=1)
    assert decide(lossy).step is Step.FREEZE
    assert decide(replace(lossy, sensitive=False)).step is Step.ALERT
    assert decide(replace(lossy, level=Level.HIGH)).step is Step.ALERT


def test_a_level_earns_what_the_operator_chose_for_it_within_what_is_permitted() -> None:
    steps = dict(EARNED) | {Level.MEDIUM: Step.KILL, Level.CRITICAL: Step.LIMIT}
    chosen = replace(SURE, steps=steps)
    assert decide(chosen).step is Step.LIMIT
    medium = decide(replace(chosen, level=Level.MEDIUM))
    assert (medium.step, medium.wanted) == (Step.FREEZE, Step.KILL)
