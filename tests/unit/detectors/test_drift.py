"""Drift questions a baseline after long, and never because of a moment."""

import numpy as np
import pytest

from detectors.drift import LIMIT, Drift
from detectors.errors import CalibrationError


def test_calibrated_windows_are_no_drift_however_alike_neighbours_are() -> None:
    rng = np.random.default_rng(4)
    drift, value = Drift(), 0.0
    for _ in range(100_000):
        value = 0.9 * value + rng.normal(0, np.sqrt(1 - 0.81))
        rank = float(np.clip(0.5 * (1 + np.tanh(value * 0.85)), 1e-6, 1.0))  # uniform, nearly
        assert not drift.update(rank)
    assert drift.excess < LIMIT / 2


def test_windows_at_the_edge_are_a_drift_after_minutes() -> None:
    drift = Drift()
    bets = next(at for at in range(10_000) if drift.update(0.1))
    assert 600 < bets < 750


def test_a_bad_quarter_of_an_hour_is_forgotten() -> None:
    drift = Drift()
    assert not any(drift.update(0.05) for _ in range(300))
    for _ in range(2_000):
        drift.update(0.5)
    assert drift.excess == 0


def test_what_is_no_p_value_is_refused() -> None:
    for wrong in (0.0, 1.5, float("nan")):
        with pytest.raises(CalibrationError):
            Drift().update(wrong)


def test_a_person_who_looked_begins_it_anew() -> None:
    drift = Drift(LIMIT)
    drift.reset()
    assert drift.excess == 0
