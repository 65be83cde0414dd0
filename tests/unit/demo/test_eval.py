"""The offline half of `make eval`: what recordings alone tell."""

from pathlib import Path

import pytest

from detectors.assessment import BaselineState
from detectors.baseline import Baseline
from tests.eval import offline
from tests.unit.agent.evaluation.test_recordings import record
from tests.unit.detectors.factory import ATTACK, USUAL, guarding_judge, item, window


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("eval")
    baseline = guarding_judge().baseline.to_bytes()
    learning = (window(0, *USUAL), *(window(at) for at in range(1, 90)))
    record(root / "learning.rec", Baseline("embedder").to_bytes(), *learning)
    record(root / "ordinary.rec", baseline, *(window(at) for at in range(100, 160)))
    shell = item("exec", "/bin/sh", at_s=201.5)
    record(root / "shell.rec", baseline, window(200), window(201, shell, extra=ATTACK))
    return root


def test_realised_rates_stand_beside_nominal_ones(root: Path) -> None:
    found = offline.realised(root / "ordinary.rec")
    assert found["windows"] == 60
    assert found["calibrated_on"] >= 8
    assert all(0 <= share <= 1 for share in found["rates"].values())
    assert found["rates"]["0.01"] == 0  # so few scores cannot tell one in a hundred


def test_a_baseline_is_learned_again_from_its_recording(root: Path) -> None:
    start, seen = offline.windows(root / "learning.rec")
    assert len(seen) == 90
    assert offline.learned(start, seen).baseline.state is BaselineState.GUARDING


def test_two_windows_in_a_hundred_of_attacks_do_not_hide_a_shell(root: Path) -> None:
    found = offline.poisoned(root / "learning.rec", [root / "shell.rec"])
    assert (found["clean"], found["attacks"]) == (1, 1)
    assert found["poisoned"] == 1


def test_nine_ordinary_windows_do_not_hide_a_shell(root: Path) -> None:
    found = offline.diluted(root / "ordinary.rec", [root / "shell.rec"])
    assert found["shell"] in {"high", "critical"}


def test_a_diluted_window_holds_all_counts_and_the_mean_rates() -> None:
    one, others = window(1, extra=ATTACK), [window(at) for at in range(2, 11)]
    poured = offline._poured(one, others)
    assert poured.calls == one.calls + sum(other.calls for other in others)
    assert poured.length_s == pytest.approx(10.0)
    assert poured.end_ns == one.end_ns
    low, high = sorted(each.features["syscalls"] for each in (one, *others))[:: len(others)]
    assert low < poured.features["syscalls"] < high
