"""What a workload does with its GPU beyond what it was learnt to do is told in plain words."""

from dataclasses import replace

import numpy as np
import pytest

from detectors import features, unasked
from detectors.assessment import Assessment, Level
from detectors.baseline import Baseline
from detectors.judge import Judge
from detectors.storage import from_bytes, to_bytes
from detectors.window import Phase, Window
from tests.unit.detectors.factory import EXE, SETTINGS, USUAL, item, window

MIB = float(1 << 20)
USED = {
    "gpu_percent": 30.0,
    "gpu_launches": 400.0,
    "gpu_sent_bytes": 1e5,
    "gpu_fetched_bytes": 2e5,
    "gpu_copied_bytes": 0.0,
    "gpu_held_bytes": 512 * MIB,
    "gpu_calls": 20.0,
}
IDLE = {"gpu_percent": 0.0, "gpu_launches": 0.0, "gpu_fetched_bytes": 0.0, "cpu_percent": 1.0}
IDLE |= {"gpu_calls": 0.0}


def used(at: int, load: float, **readings: float) -> Window:
    made = window(at, load=load)
    return replace(made, features={**made.features, **USED, **readings})


def learnt() -> Judge:
    """A judge of a server that had a pause in every eight windows."""
    judge = Judge(SETTINGS, Baseline("embedder"))
    code = item("gpu", "load cubin sha256:11 (10 bytes)")
    judge.observe(replace(used(0, 1.0), items=(*USUAL, code)))
    for at in range(1, 56):
        judge.observe(used(at, 0.0, **IDLE) if at % 8 == 0 else used(at, 1.0))
    return judge


def last(judge: Judge, windows: int, load: float = 0.0, **readings: float) -> Assessment:
    found = None
    for at in range(100, 100 + windows):
        found = judge.observe(used(at, load, **(readings if load else IDLE | readings)))
    assert found is not None
    return found


def test_launches_without_requests_are_work_that_nobody_asked_for() -> None:
    found = last(learnt(), 7, gpu_launches=300.0)
    assert found.level is Level.MEDIUM
    assert "had its GPU work without being asked" in found.summary
    assert "300 launches" in found.summary
    assert "T1496.001" in found.techniques


def test_the_gpu_alone_is_enough_where_no_library_is_attached_to() -> None:
    assert "GPU work" in last(learnt(), 40, gpu_percent=98.0).summary
    assert last(learnt(), 40, gpu_percent=98.0).level is Level.HIGH


def test_calls_to_the_driver_are_enough_where_neither_nvml_nor_a_probe_sees() -> None:
    found = last(learnt(), 7, gpu_calls=200.0)
    assert found.level is Level.MEDIUM
    assert "had its GPU work without being asked" in found.summary
    assert "200 calls to its driver a second" in found.summary


def test_requests_explain_their_launches_at_any_load() -> None:
    many = {name: 10 * USED[name] for name in ("gpu_launches", "gpu_fetched_bytes", "gpu_calls")}
    assert not last(learnt(), 40, load=10.0, **many).novel


def test_bytes_from_the_gpu_without_replies_are_told_at_once() -> None:
    found = last(learnt(), 1, gpu_fetched_bytes=20 * MIB)
    assert found.level is Level.MEDIUM
    assert "copied more from its GPU than its replies explain" in found.summary
    assert "AML.T0025" in found.techniques


def test_a_tenth_of_what_the_gpu_holds_is_a_model_that_leaves() -> None:
    assert last(learnt(), 3, gpu_fetched_bytes=20 * MIB).level is Level.HIGH


def test_copies_whose_direction_is_not_told_count_as_well() -> None:
    assert "from its GPU" in last(learnt(), 1, gpu_copied_bytes=20 * MIB).summary


def test_memory_that_does_not_come_back_is_told_once_it_lasts() -> None:
    judge = learnt()
    assert not last(judge, 15, load=1.0, gpu_held_bytes=900 * MIB).novel
    found = last(learnt(), 40, load=1.0, gpu_held_bytes=900 * MIB)
    assert found.level is Level.MEDIUM
    assert "keeps more GPU memory than it was learned to" in found.summary


def by_nvml_alone(made: Window, memory: float) -> Window:
    """As where no probe may be attached to the driver's library."""
    calls = {"gpu_launches", "gpu_sent_bytes", "gpu_fetched_bytes", "gpu_copied_bytes"}
    kept = {name: value for name, value in made.features.items()
            if name not in calls | {"gpu_held_bytes"}}  # fmt: skip
    return replace(made, features={**kept, "gpu_memory_bytes": memory})


def test_memory_that_does_not_come_back_is_told_by_nvml_where_no_probe_sees() -> None:
    judge = Judge(SETTINGS, Baseline("embedder"))
    for at in range(56):
        judge.observe(by_nvml_alone(used(at, 1.0), 512 * MIB))
    found = None
    for at in range(100, 140):
        found = judge.observe(by_nvml_alone(used(at, 1.0), 900 * MIB))
        assert at > 125 or not found.novel
    assert found is not None
    assert found.level is Level.MEDIUM
    assert "keeps more GPU memory than it was learned to" in found.summary


def test_memory_that_comes_back_is_nothing() -> None:
    judge = learnt()
    for at in range(100, 160):
        held = 900 * MIB if at % 10 else 512 * MIB
        assert not judge.observe(used(at, 1.0, gpu_held_bytes=held)).novel


@pytest.mark.parametrize(
    ("phase", "lost", "read"),
    [(Phase.RELOAD, 0, 0.0), (Phase.STEADY, 3, 0.0), (Phase.STEADY, 0, 1e9)],
)
def test_an_excuse_ends_it(phase: Phase, lost: int, read: float) -> None:
    judge = learnt()
    busy = IDLE | {"gpu_launches": 900.0, "gpu_fetched_bytes": 1e9, "read_bytes": read}
    for at in range(100, 160):
        assert not judge.observe(replace(used(at, 0.0, **busy), phase=phase, lost=lost)).novel


def test_code_never_loaded_before_is_told_and_what_was_learnt_is_not() -> None:
    judge = learnt()
    known = item("gpu", "load cubin sha256:11 (10 bytes)", at_s=100)
    new = item("gpu", "load cubin sha256:22 (10 bytes)", at_s=100)
    assert judge.assess_items([known]) is None
    found = judge.assess_items([new])
    assert found is not None
    assert found.level is Level.MEDIUM
    assert "loaded GPU code" in found.summary


@pytest.mark.parametrize("kind", ["file", "write"])
def test_a_gpu_where_none_was_used_is_high(kind: str) -> None:
    found = learnt().assess_items([item(kind, "/dev/nvidia-uvm", at_s=100)])
    assert found is not None
    assert found.level is Level.HIGH
    assert "T1496.001" in found.techniques


@pytest.mark.parametrize(
    ("device", "level"), [("/dev/nvidia-uvm", Level.HIGH), ("/dev/nvidia0", Level.LOW)]
)
def test_a_stranger_at_the_gpu_is_named(device: str, level: Level) -> None:
    outside = item("device", device, at_s=100, role=f"stranger {EXE}x", marks=("written",))
    found = learnt().assess_items([outside])
    assert found is not None
    assert found.level is level
    assert "which does not belong to embedder" in found.summary


def test_what_an_older_agent_learnt_of_two_readings_is_still_read() -> None:
    baseline = learnt().baseline
    assert baseline.unasked is not None
    learned = baseline.unasked
    baseline.unasked = unasked.UnaskedWork(learned.idle[:2], learned.cost[:2], learned.busy[:2])
    restored = from_bytes(to_bytes(baseline)).unasked
    assert restored is not None
    row = features.vector({"bytes_in": 0.0, "bytes_out": 0.0, "cpu_percent": 99.0})
    score = restored.score(row)
    assert score is not None
    assert score > 1
    assert np.isnan(restored.idle[2:]).all()


@pytest.mark.parametrize(
    ("what", "level", "words"),
    [
        ("nvml-unlisted", Level.HIGH, "holds a GPU and is not in the driver's list"),
        ("nvml-unheld", Level.HIGH, "is in the driver's list and holds no GPU"),
        ("xid 79", Level.MEDIUM, "reported the error Xid 79"),
        ("ecc-errors", Level.MEDIUM, "errors that could not be corrected"),
        (
            "driver /usr/lib/libcuda.so.1 is not as libcuda1 installed it",
            Level.HIGH,
            "maps a GPU driver's library that was replaced: /usr/lib/libcuda.so.1 is not as",
        ),
    ],
)
def test_what_a_look_at_the_gpu_tells_is_said_in_words(what: str, level: Level, words: str) -> None:
    found = learnt().assess_items([item("gpu", what, at_s=100)])
    assert found is not None
    assert found.level is level
    assert words in found.summary
