from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.errors import AgentError
from agent.evaluation.metrics import auc, best_f1, detection_at
from agent.evaluation.traces import TraceSetError, evaluate_traces, parse_trace, read_traces
from probes import syscalls

SERVER = ("epoll_wait accept4 recvfrom futex sendto close", "read lseek read futex write fsync")
ODD = "openat read close pipe2 dup2 dup2 execve mmap socket connect"


def trace(rng: np.random.Generator, *, attacked: bool) -> list[int]:
    text: list[str] = []
    for at in range(40):
        text += SERVER[rng.integers(2)].split()
        if attacked and at % 8 == 0:
            text += list(rng.permutation(ODD.split()))
    return [syscalls.number(name) for name in text]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("traces")
    rng = np.random.default_rng(5)
    for name, count in (("train", 30), ("normal", 40), ("attack", 20)):
        for at in range(count):
            folder = root / name / ("a" if at % 2 else "deep/b")
            folder.mkdir(parents=True, exist_ok=True)
            numbers = trace(rng, attacked=name == "attack")
            (folder / f"{at}.txt").write_text(" ".join(map(str, numbers)) + "\n")
    return root


def test_attacks_are_told_from_ordinary_traces(sets: Path) -> None:
    found = evaluate_traces(sets / "train", sets / "normal", sets / "attack")
    assert found["auc"] > 0.99
    assert found["auc_ci"][0] <= found["auc"] <= found["auc_ci"][1]
    assert list(found["dr_at_far"]) == ["0.01", "0.05", "0.10"]
    assert found["dr_at_far"]["0.10"] > 0.95
    assert found["threshold"]["far"] <= 0.2
    assert found["threshold"]["dr"] > 0.95
    assert found["f1"] <= found["f1_best"]
    assert set(found["by_type"]) == {"a", "b"}
    assert found["us_per_call"] > 0
    assert 0 < found["model_bytes"] < 2 << 20
    assert found["refused"] == 0


def test_the_same_sets_give_the_same_figures(sets: Path) -> None:
    one, other = (
        evaluate_traces(sets / "train", sets / "normal", sets / "attack") for _ in range(2)
    )
    del one["us_per_call"], other["us_per_call"]
    assert one == other


def test_names_and_numbers_are_the_same_trace(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("read write sys_openat close()")
    (tmp_path / "numbers").write_text("0 1\n257\t3")
    names, numbers = (parse_trace(tmp_path / one) for one in ("names", "numbers"))
    assert np.array_equal(names, numbers)


def test_bad_files_are_counted_and_named(tmp_path: Path) -> None:
    (tmp_path / "good").write_text("0 1 2")
    (tmp_path / "empty").write_text("")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "large").write_text("0 1 9999")
    (tmp_path / "prose").write_text("no such call")
    found = read_traces("training", tmp_path)
    assert len(found.traces) == 1
    assert len(found.refused) == 4
    assert any("'no' is no system call" in one for one in found.refused)


def test_a_set_without_traces_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(TraceSetError, match=r"attack traces in .* no such directory"):
        read_traces("attack", tmp_path / "nowhere")
    with pytest.raises(TraceSetError, match="holds no file"):
        read_traces("attack", tmp_path)


def test_too_few_training_traces_are_an_error(tmp_path: Path) -> None:
    for name in ("train", "normal", "attack"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one").write_text("0 1 2")
    with pytest.raises(AgentError, match="too few"):
        evaluate_traces(tmp_path / "train", tmp_path / "normal", tmp_path / "attack")


def test_rates_of_a_hand_made_case() -> None:
    ordinary, attacks = np.arange(100.0), np.array([50.0, 98.5, 200.0])
    assert auc(ordinary, attacks) == pytest.approx((0.505 + 0.99 + 1.0) / 3)
    assert detection_at(ordinary, attacks, 0.01) == pytest.approx(2 / 3)
    assert detection_at(ordinary, attacks, 0.0) == pytest.approx(1 / 3)
    assert best_f1(ordinary, attacks) == pytest.approx(2 * 2 / (2 + 1 + 3))
