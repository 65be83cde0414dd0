from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors import features, resources
from detectors.errors import FeatureError
from detectors.features import FEATURES
from tests.unit.detectors.factory import window


def rows(count: int = 60) -> resources.Floats:
    return np.array([features.vector(window(at).features) for at in range(count)])


@pytest.fixture(scope="module")
def model() -> resources.ResourceModel:
    return resources.fit(rows())


def test_shares_add_up_to_one_and_name_the_culprit(model: resources.ResourceModel) -> None:
    row = features.vector(window(99, bytes_out_initiated=5e7).features)
    shares = model.shares(row)
    assert shares[0].name == "bytes_out_initiated"
    assert sum(share.share for share in shares) == pytest.approx(1.0)
    assert shares[0].learned_high == 0.0


def test_tenfold_load_is_less_unusual_than_one_odd_reading(model: resources.ResourceModel) -> None:
    peak = model.score(features.vector(window(99, load=10.0).features))
    odd = model.score(features.vector(window(99, opens=2_000.0).features))
    assert peak is not None
    assert odd is not None
    assert peak < odd / 2


def test_an_idle_night_is_not_unusual(model: resources.ResourceModel) -> None:
    idle = model.score(features.vector(window(99, load=0.001).features))
    assert idle == pytest.approx(0.0, abs=0.5)


def test_unread_features_count_as_usual(model: resources.ResourceModel) -> None:
    row = features.vector(window(99).features)
    row[features.NAMES.index("rss_bytes")] = np.nan
    assert model.score(row) is not None
    assert model.score(np.full(len(FEATURES), np.nan)) is None


def test_features_never_read_are_left_out(model: resources.ResourceModel) -> None:
    assert features.NAMES.index("gpu_percent") not in model.columns


def test_impossible_readings_are_refused(model: resources.ResourceModel) -> None:
    with pytest.raises(FeatureError):
        model.score(np.zeros(3))
    with pytest.raises(FeatureError):
        model.score(np.full(len(FEATURES), math.inf))
    with pytest.raises(FeatureError):
        features.vector({"rss_bytes": -1.0})
    with pytest.raises(FeatureError):
        features.vector({"unheard_of": 1.0})
    with pytest.raises(FeatureError):
        resources.fit(rows(3))


def test_what_a_neighbour_can_raise_is_not_judged() -> None:
    def row(at: int, pressure: float) -> NDArray[np.float64]:
        return features.vector({**window(at).features, "cpu_pressure_some": pressure})

    model = resources.fit(np.array([row(at, 0.0) for at in range(60)]))
    assert features.NAMES.index("cpu_pressure_some") not in model.columns
    assert model.score(row(99, 90.0)) == model.score(row(99, 0.0))
