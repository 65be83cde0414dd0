"""Baselines of replicas become one, whatever the order and grouping."""

from functools import cache
from itertools import permutations

import pytest

from detectors.assessment import BaselineState
from detectors.baseline import Baseline
from detectors.errors import MergeError
from detectors.judge import Judge
from detectors.merging import merge
from tests.unit.detectors.factory import SETTINGS, USUAL, guarding_judge, item, window


@cache
def replica(number: int) -> bytes:
    """Learnt from other windows than its siblings, and with a file and a directory of its own."""
    own = [item("file", f"/srv/models/digits/v{number}/model.onnx")]
    own += [item("file", f"/srv/cache/{number}/{name:04d}.bin") for name in range(9 * number)]
    judge = Judge(SETTINGS, Baseline("embedder"))
    judge.observe(window(100 * number, *USUAL, *own))
    for at in range(1, 41 + 4 * number):
        judge.observe(window(100 * number + at))
    return judge.baseline.to_bytes()


def replicas() -> list[Baseline]:
    return [Baseline.from_bytes(replica(number)) for number in (1, 2, 3)]


def test_the_order_makes_no_difference() -> None:
    results = {merge(order).to_bytes() for order in permutations(replicas())}
    assert len(results) == 1


def test_the_grouping_makes_no_difference() -> None:
    a, b, c = replicas()
    left = merge([merge([a, b]), c]).to_bytes()
    right = merge([a, merge([b, c])]).to_bytes()
    assert left == right == merge([a, b, c]).to_bytes()


def test_everything_each_knew_is_known() -> None:
    merged = merge(replicas())
    for one in replicas():
        assert set(one.repertoire) <= set(merged.repertoire)
        assert merged.sequences.models["main"].knows(one.sequences.models["main"].words).all()
    assert merged.windows == sum(one.windows for one in replicas())


def test_none_of_those_merged_is_changed() -> None:
    given = replicas()
    merge(given)
    assert [one.to_bytes() for one in given] == [one.to_bytes() for one in replicas()]


def test_the_common_one_learns_until_its_own_gates_open_and_then_guards() -> None:
    judge = Judge(SETTINGS, merge(replicas()))
    states = [judge.baseline.state]
    for at in range(1000, 1060):
        judge.observe(window(at))
        states.append(judge.baseline.state)
    assert (states[0], states[-1]) == (BaselineState.LEARNING, BaselineState.GUARDING)
    assert judge.assess_novel([item("file", "/srv/models/digits/v2/model.onnx")]) == ()


def test_the_sample_of_readings_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detectors.merging.MAX_ROWS", 50)
    a, b, c = replicas()
    merged = merge([merge([a, b]), c])
    assert len(merged.rows) == 50
    assert merged.to_bytes() == merge([c, b, a]).to_bytes()


def test_other_workloads_are_refused() -> None:
    other = guarding_judge().baseline
    other.workload = "reranker"
    with pytest.raises(MergeError, match="different workloads"):
        merge([*replicas(), other])


def test_none_at_all_is_refused() -> None:
    with pytest.raises(MergeError, match="none was given"):
        merge([])
