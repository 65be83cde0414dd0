"""A worker that a server forks does what the server was learned to do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detectors.ngram import NgramModel
from detectors.repertoire import Repertoire
from detectors.sequences import Sequences
from tests.unit.detectors.factory import ATTACK, calls, guarding_judge, item


def test_a_worker_is_known_by_what_its_original_did() -> None:
    known = Repertoire()
    known.add(item("file", "/srv/models/a.onnx"))
    assert known.knows(item("file", "/srv/models/a.onnx", role="worker"))
    assert not known.knows(item("file", "/srv/models/b.onnx", role="worker"))
    assert not known.knows(item("file", "/srv/models/a.onnx", role="helper"))


def test_the_original_is_not_known_by_what_a_worker_did() -> None:
    known = Repertoire()
    known.add(item("file", "/srv/models/a.onnx", role="worker"))
    assert not known.knows(item("file", "/srv/models/a.onnx"))


def test_a_worker_nobody_saw_is_measured_by_the_sequences_of_its_original() -> None:
    learned = Sequences()
    for seed in range(20):
        learned.learn([calls(seed)])
    usual = [replace(calls(30), role="worker")]
    unusual = [replace(calls(30, extra=ATTACK), role="worker")]
    assert learned.scores(usual) == learned.scores([calls(30)])
    assert learned.scores(unusual)["unseen"] > learned.scores(usual)["unseen"]
    assert learned.surprising(unusual, 4)


def test_a_worker_is_measured_by_the_nearer_of_its_own_and_its_originals() -> None:
    learned = Sequences()
    for seed in range(20):
        learned.learn([calls(seed), replace(calls(seed, extra=ATTACK), role="worker")])
    learned.models["worker"] = NgramModel()  # as one that was seen for a moment
    usual = [replace(calls(30), role="worker")]
    assert np.isclose(learned.scores(usual)["sequence"], learned.scores([calls(30)])["sequence"])


def test_a_secret_that_a_worker_opens_as_its_original_never_did_is_told() -> None:
    judge = guarding_judge()
    found = judge.assess_items([item("file", "/root/.ssh/id_rsa", role="worker", at_s=60)])
    assert found is not None
    assert found.level.label == "critical"
