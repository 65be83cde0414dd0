"""What was learnt outlives new features, and approval takes in what it names."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from detectors import features, framing
from detectors.baseline import Baseline
from tests.unit.detectors.factory import guarding_judge, item, window


def rewritten(data: bytes, names: Sequence[str]) -> bytes:
    """The same baseline as a program would have written it that knew these features alone."""
    head, arrays = framing.unpack(data)
    kept = [head["features"].index(name) for name in names]
    changed: dict[str, Any] = dict(arrays)
    if "rows" in changed:
        changed["rows"] = changed["rows"][:, kept]
    learnt = [head["features"][at] for at in changed["resources/columns"]]
    changed["resources/columns"] = np.array([list(names).index(name) for name in learnt])
    return framing.pack(head | {"features": list(names)}, changed)


def test_a_baseline_that_never_knew_a_feature_scores_as_before() -> None:
    baseline = guarding_judge().baseline
    old = rewritten(
        baseline.to_bytes(), [n for n in reversed(features.NAMES) if n != "gpu_percent"]
    )
    restored = Baseline.from_bytes(old)
    for at in (60, 61):
        assert restored.scores(window(at, load=3.0)) == pytest.approx(
            baseline.scores(window(at, load=3.0))
        )
    assert [row.shape for row in restored.rows] == [row.shape for row in baseline.rows]


def test_a_feature_nobody_reads_any_more_is_left_out() -> None:
    head, arrays = framing.unpack(guarding_judge().baseline.to_bytes())
    gone = ["of_old" if name == "syscalls" else name for name in head["features"]]
    restored = Baseline.from_bytes(framing.pack(head | {"features": gone}, arrays))
    assert restored.resources is None
    assert "sequence" in restored.scores(window(60))


def test_what_is_approved_with_its_marks_is_known_from_then_on() -> None:
    judge = guarding_judge()
    hidden = item("exec", "/memfd:x", marks=("memfd",))
    (new,) = judge.assess_novel([hidden])
    judge.baseline.approve([new])
    assert judge.assess_novel([hidden]) == ()
