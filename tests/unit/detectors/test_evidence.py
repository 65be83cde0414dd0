from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.conformal import MIN_SCORES, Calibration
from detectors.eprocess import EProcess, alarm_threshold, e_value
from detectors.errors import CalibrationError


def test_p_value_is_the_share_at_least_as_unusual() -> None:
    calibration = Calibration(np.arange(99.0))
    assert calibration.p_value(200.0) == pytest.approx(0.01)
    assert calibration.p_value(-1.0) == 1.0
    assert calibration.p_value(98.0) == pytest.approx(0.02)


def test_too_few_scores_give_no_p_value() -> None:
    assert Calibration(np.arange(MIN_SCORES - 1.0)).p_value(1e9) is None


def test_loss_raises_the_p_value() -> None:
    calibration = Calibration(np.arange(99.0))
    unsure, sure = calibration.p_value(200.0, lost=9), calibration.p_value(200.0)
    assert unsure is not None
    assert sure is not None
    assert unsure > sure


def test_dependent_windows_are_thinned() -> None:
    rng = np.random.default_rng(0)
    series = np.cumsum(rng.normal(size=400))
    assert Calibration.of(series).stride == 4
    assert Calibration.of(rng.normal(size=400)).stride == 1


def test_infinite_scores_are_refused() -> None:
    with pytest.raises(CalibrationError):
        Calibration.of([1.0, math.inf])


@settings(deadline=None)
@given(st.floats(1e-9, 1.0))
def test_smaller_p_never_bets_less(p_value: float) -> None:
    assert e_value(p_value) >= e_value(min(1.0, p_value * 1.5)) - 1e-6


def test_the_bet_is_fair() -> None:
    grid = (np.arange(200_000) + 0.5) / 200_000
    mean = np.mean([e_value(float(p)) for p in grid])
    assert 0.9 < mean <= 1.0  # what is missing lies below the grid's first point


def test_evidence_is_the_mean_of_the_channels() -> None:
    process = EProcess()
    process.update({"a": 0.01, "b": 1.0})
    assert process.evidence == pytest.approx((e_value(0.01) + e_value(1.0)) / 2)


def test_a_window_without_p_values_changes_nothing() -> None:
    process = EProcess()
    assert process.update({}) == 0.0
    assert process.skipped == 0


def test_one_sure_channel_outweighs_silent_ones() -> None:
    process = EProcess()
    for _ in range(60):
        process.update({"a": 0.02, "b": 0.7, "c": 0.7})
    assert process.evidence > alarm_threshold(1.0, 1.0)


def test_false_alarms_stay_within_the_budget() -> None:
    threshold = alarm_threshold(1.0, 30 * 86_400 / 2_000)
    assert threshold == pytest.approx(2_000)
    rng = np.random.default_rng(3)
    alarms = 0
    process = EProcess()
    for p_value in rng.integers(1, 101, 60_000) / 100:
        if process.update({"a": float(p_value)}) >= threshold:
            alarms += 1
            process.reset()
    assert alarms <= 30


def test_lasting_deviation_exceeds_any_budget() -> None:
    process = EProcess()
    for _ in range(60):
        process.update({"a": 0.01})
    assert process.evidence > alarm_threshold(1.0, 1.0)


def test_windows_between_bets_are_passed_over() -> None:
    process = EProcess(stride=4)
    for _ in range(3):
        assert process.update({"a": 0.001}) == 0.0
    assert process.update({"a": 0.001}) > 0
