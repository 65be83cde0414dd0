"""Baselines on disk: whole or not at all, and never silently replaced."""

from collections import Counter
from pathlib import Path

import pytest

from agent.daemon.baselines import BaselineFiles
from agent.errors import UnknownError
from detectors.assessment import BaselineState
from detectors.baseline import Baseline
from detectors.window import Item, ItemKind


def known() -> Baseline:
    baseline = Baseline("embedder")
    baseline.approve([Item(ItemKind.EXEC, "/srv/worker", "main", 1, 1)])
    return baseline


def test_what_was_saved_is_loaded_again(tmp_path: Path) -> None:
    BaselineFiles(tmp_path).save(known())
    assert BaselineFiles(tmp_path).load("embedder").to_bytes() == known().to_bytes()


def test_one_that_guards_is_written_seldom_and_one_that_learns_each_time(tmp_path: Path) -> None:
    files, lost = BaselineFiles(tmp_path), Counter[str]()
    learns, guards = Baseline("learns"), Baseline("guards", state=BaselineState.GUARDING)
    files.save_all([learns, guards], lost, due=True)
    assert files.path("guards").exists()  # never written before
    for path in files.directory.iterdir():
        path.unlink()
    files.save_all([learns, guards], lost, due=True)
    assert [path.name for path in files.directory.iterdir()] == ["learns.baseline"]
    files.save_all([learns, guards], lost)  # at its end, and where somebody changed the files
    assert files.path("guards").exists()
    assert not lost


def test_what_cannot_be_written_is_counted(tmp_path: Path) -> None:
    files, lost = BaselineFiles(tmp_path), Counter[str]()
    files.directory.write_text("no directory")
    files.save_all([known()], lost)
    assert lost == {"baseline_not_saved": 1}


def test_a_workload_never_learned_has_a_baseline_that_knows_nothing(tmp_path: Path) -> None:
    files = BaselineFiles(tmp_path)
    assert len(files.load("embedder").repertoire) == 0
    assert files.set_aside == []


@pytest.mark.parametrize("damage", [b"", b"no baseline", known().to_bytes()[:-3]])
def test_a_damaged_file_is_set_aside_whole_and_named(tmp_path: Path, damage: bytes) -> None:
    files = BaselineFiles(tmp_path)
    files.save(known())
    files.path("embedder").write_bytes(damage)
    assert len(files.load("embedder").repertoire) == 0
    (aside,) = files.set_aside
    assert aside.name.startswith("embedder.baseline.corrupt-")
    assert aside.read_bytes() == damage
    assert not files.path("embedder").exists()


def test_only_root_looks_into_the_directory(tmp_path: Path) -> None:
    files = BaselineFiles(tmp_path)
    files.save(known())
    assert files.directory.stat().st_mode & 0o777 == 0o700


def test_a_half_written_file_never_takes_the_place_of_a_whole_one(tmp_path: Path) -> None:
    files = BaselineFiles(tmp_path)
    files.save(known())
    files.path("embedder").with_name("embedder.baseline.new").write_bytes(b"half")
    assert len(files.load("embedder").repertoire) == 1
    files.save(known())
    assert [file.name for file in files.directory.iterdir()] == ["embedder.baseline"]


def test_a_name_with_slashes_stays_inside_the_directory(tmp_path: Path) -> None:
    files = BaselineFiles(tmp_path)
    assert files.path("../../etc/x").parent == files.directory


def test_a_digest_changes_with_the_content_and_is_empty_without_a_file(tmp_path: Path) -> None:
    files = BaselineFiles(tmp_path)
    assert files.digest("embedder") == ""
    files.save(Baseline("embedder"))
    first = files.digest("embedder")
    files.save(known())
    assert files.digest("embedder") != first
    assert len(first) == 64


def test_what_was_forgotten_is_gone_and_cannot_be_forgotten_twice(tmp_path: Path) -> None:
    files = BaselineFiles(tmp_path)
    files.save(known())
    files.forget("embedder")
    assert not files.path("embedder").exists()
    with pytest.raises(UnknownError, match="embedder"):
        files.forget("embedder")


def test_a_file_that_another_key_sealed_is_set_aside(tmp_path: Path) -> None:
    files, elsewhere = BaselineFiles(tmp_path / "a"), BaselineFiles(tmp_path / "b")
    for one in (files, elsewhere):
        one.save(known())
    files.path("embedder").write_bytes(elsewhere.path("embedder").read_bytes())
    assert len(files.load("embedder").repertoire) == 0
    assert len(files.set_aside) == 1


def test_a_file_whose_seal_was_taken_off_is_set_aside(tmp_path: Path) -> None:
    files = BaselineFiles(tmp_path)
    files.save(known())
    files.path("embedder").write_bytes(known().to_bytes())
    assert len(files.load("embedder").repertoire) == 0
    assert len(files.set_aside) == 1


def test_a_file_from_before_there_were_seals_is_taken(tmp_path: Path) -> None:
    files = BaselineFiles(tmp_path)
    files.directory.mkdir(parents=True)
    files.path("embedder").write_bytes(known().to_bytes())
    assert len(files.load("embedder").repertoire) == 1
    assert files.set_aside == []
