"""Evaluation on our own recordings: directories are labels, priors never met what they judge."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli import app
from agent.daemon.telling import Telling
from agent.daemon.verdicts import Origin
from agent.evaluation.recordings import RecordingSetError, read_recording, read_set
from agent.evaluation.techniques import evaluate_recordings, learn_prior
from agent.recording.tap import Tap
from detectors.baseline import Baseline
from detectors.judge import Judge
from detectors.window import Window
from tests.unit.detectors.factory import ATTACK, SETTINGS, guarding_judge, item, window

OTHER = "pipe2 clone dup2 dup2 execve brk mmap openat mmap socket connect sendto sendto exit_group"
LONG_S = 3600.0


class Live:
    """What the tap asks of a watcher."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.telling = Telling()
        self.origin = Origin("h1", "embedder", "generic", 0)


def record(path: Path, baseline: bytes, *windows: Window) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tap, live = Tap(), Live(Judge(SETTINGS, Baseline.from_bytes(baseline)))
    tap.start(path, LONG_S, [live])
    for one in windows:
        tap.window(live, one)
        tap.judged("embedder", live.judge.baseline.state, acted=False)
    recorder = tap.stop()
    assert recorder is not None
    assert recorder.wait().lost == 0


@pytest.fixture(scope="module")
def baseline() -> bytes:
    return guarding_judge().baseline.to_bytes()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory, baseline: bytes) -> Path:
    root = tmp_path_factory.mktemp("recordings")
    record(root / "normal" / "ordinary.rec", baseline, *(window(at) for at in range(100, 140)))
    record(root / "normal" / "more" / "busy", baseline, *(window(at) for at in range(200, 210)))
    shell = item("exec", "/bin/sh", at_s=301)
    acts = {"T1059.004/a.rec": (ATTACK, (shell,)), "T1059.006/b.rec": (ATTACK, ())}
    for at, (name, (calls, items)) in enumerate({**acts, "T1041/c.rec": (OTHER, ())}.items()):
        begin = 300 + 10 * at
        windows = (window(begin), window(begin + 1, *items, extra=calls), window(begin + 2))
        record(root / "attack" / name, baseline, *windows)
    return root


def test_attacks_are_told_from_ordinary_life(directory: Path) -> None:
    found = evaluate_recordings(directory)
    assert found["auc"] > 0.95
    assert found["auc_ci"][0] <= found["auc"] <= found["auc_ci"][1]
    assert list(found["dr_at_far"]) == ["0.01", "0.05", "0.10"]
    assert set(found["by_type"]) == {"T1059.004", "T1059.006", "T1041"}
    assert found["by_type"]["T1059.004"]["dr_deployed"] == 1
    assert found["threshold"]["far"] == 0
    assert 0 < found["f1"] <= 1
    assert found["us_per_call"] > 0
    assert found["model_bytes"] > 0
    assert found["recordings"] == {"normal": 2, "attack": 3}
    assert found["windows"] == 59
    assert found["refused"] == found["lost"] == 0


def test_few_attacks_make_no_prior_that_could_hurt(directory: Path) -> None:
    found = evaluate_recordings(directory)
    assert found["auc"] == found["without_prior"]["auc"]
    assert found["dr_at_far"] == found["without_prior"]["dr_at_far"]


def test_the_same_recordings_give_the_same_figures(directory: Path) -> None:
    one, other = (evaluate_recordings(directory) for _ in range(2))
    del one["us_per_call"], other["us_per_call"]
    assert one == other


def test_a_technique_is_judged_without_its_siblings(directory: Path) -> None:
    given = read_set(directory)
    assert {one.technique for one in given.attacks} == {"T1059", "T1041"}
    others = [one for one in given.attacks if one.technique != "T1059"]
    prior = learn_prior(others, given.normal)
    assert prior.recordings == 1
    assert not set(prior.model.words) - set(others[0].fresh)


def test_what_is_no_recording_is_counted_and_named(directory: Path, tmp_path: Path) -> None:
    for one in directory.rglob("*"):
        if one.is_file():
            there = tmp_path / one.relative_to(directory)
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(one.read_bytes())
    whole = (tmp_path / "attack" / "T1041" / "c.rec").read_bytes()
    (tmp_path / "attack" / "T1041" / "cut.rec").write_bytes(whole[:-9])
    (tmp_path / "attack" / "T1041" / "empty.rec").write_bytes(b"")
    (tmp_path / "normal" / "prose.txt").write_text("no recording")
    found = evaluate_recordings(tmp_path)
    assert found["refused"] == 3
    assert {Path(one.split(" ", 1)[0]).name for one in found["refused_files"]} == {
        "cut.rec", "empty.rec", "prose.txt",
    }  # fmt: skip
    assert found["recordings"] == {"normal": 2, "attack": 3}


def test_windows_that_were_learned_are_not_evaluated(tmp_path: Path) -> None:
    record(tmp_path / "a.rec", Baseline("embedder").to_bytes(), *(window(at) for at in range(5)))
    with pytest.raises(RecordingSetError, match="by a baseline that guards"):
        read_recording(tmp_path / "a.rec", "")


def test_a_part_that_is_missing_or_empty_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingSetError, match="no directory normal"):
        evaluate_recordings(tmp_path)
    (tmp_path / "normal").mkdir()
    with pytest.raises(RecordingSetError, match=r"normal cannot be evaluated.*holds no file"):
        evaluate_recordings(tmp_path)


def test_the_command_prints_figures_and_learns_a_prior(directory: Path, tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["eval", "recordings", str(directory)])
    assert shown.exit_code == 0
    assert "auc:" in shown.stdout
    prior = tmp_path / "prior"
    learned = CliRunner().invoke(app, ["eval", "prior", str(directory), "--to", str(prior)])
    assert learned.exit_code == 0
    assert "sequences of 3 attacks" in learned.stdout
    assert prior.stat().st_size > 0


def test_one_ordinary_recording_is_enough_if_it_is_long(tmp_path: Path, baseline: bytes) -> None:
    record(tmp_path / "normal" / "all.rec", baseline, *(window(at) for at in range(100, 140)))
    shell = item("exec", "/bin/sh", at_s=301)
    attack = (window(300), window(301, shell, extra=ATTACK), window(302))
    record(tmp_path / "attack" / "T1059.004" / "a.rec", baseline, *attack)
    found = evaluate_recordings(tmp_path)
    assert found["recordings"] == {"normal": 1, "attack": 1}
    assert found["auc"] > 0.9


def test_ordinary_life_that_is_too_short_is_said(tmp_path: Path, baseline: bytes) -> None:
    record(tmp_path / "normal" / "all.rec", baseline, *(window(at) for at in range(100, 103)))
    record(tmp_path / "attack" / "T1041" / "a.rec", baseline, *(window(at) for at in range(3)))
    with pytest.raises(RecordingSetError, match="ordinary life is no longer"):
        evaluate_recordings(tmp_path)
