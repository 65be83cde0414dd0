"""Drills as data, their acts, and what is made of their outcomes."""

from pathlib import Path

import pytest

from agent.drills import acts, changes, lookalikes
from agent.drills.asking import ASKING
from agent.drills.catalogue import ATTACKS, DRILLS, LOOKALIKES, Drill
from agent.drills.errors import NoReportError
from agent.drills.outside import OUTSIDE
from agent.drills.place import Place
from agent.drills.recordings import ATTACK, NORMAL, DrillRecordingError, Recordings
from agent.drills.runner import Outcome, keep, latest, outcome_of
from agent.render.drills import drill_table, matrix
from agent.store import LEVELS

NO_SINK = 0
SHELL = DRILLS["shell"]
METRICS = DRILLS["metrics"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    furnished = Place(tmp_path / "place", NO_SINK, NO_SINK)
    furnished.furnish()
    return furnished


def test_every_behaviour_of_the_catalogue_is_drilled() -> None:
    assert {drill.behaviour for drill in ATTACKS} == {f"B{at}" for at in range(1, 16)}


def test_every_drill_has_an_act_and_every_act_a_drill() -> None:
    inside = {drill.name for drill in DRILLS.values() if not drill.outside}
    assert inside == set(acts.ACTS) | set(lookalikes.ACTS) | set(ASKING)
    assert set(DRILLS) - inside == set(OUTSIDE)


def test_names_are_unique_and_levels_known() -> None:
    assert len(DRILLS) == len(ATTACKS) + len(LOOKALIKES)
    assert {drill.expected for drill in DRILLS.values()} <= set(LEVELS)


@pytest.mark.parametrize(
    "name",
    [
        *("dropped-program", "start-file", "preload", "authorized-keys", "unit-file", "load-code"),
        *changes.ATTACKS,
    ],
)
def test_an_act_leaves_nothing_behind(place: Place, name: str) -> None:
    before = set(place.directory.rglob("*"))
    acts.ACTS[name](place)
    assert set(place.directory.rglob("*")) == before


def test_a_file_that_is_there_is_not_overwritten(place: Place) -> None:
    mine = place.directory / "site-packages" / "drill.pth"
    mine.write_text("mine")
    with pytest.raises(FileExistsError):
        acts.ACTS["start-file"](place)
    assert mine.read_text() == "mine"


@pytest.mark.parametrize(
    ("drill", "told", "fits"),
    [
        (SHELL, "critical", True),
        (SHELL, "high", True),
        (SHELL, "medium", False),
        (SHELL, "", False),
        (METRICS, "", True),
        (METRICS, "low", True),
        (METRICS, "medium", False),
    ],
)
def test_an_attack_must_reach_its_level_and_a_lookalike_stay_below(
    drill: Drill, told: str, *, fits: bool
) -> None:
    gravest = {"level": told, "summary": "s"} if told else {}
    assert outcome_of(drill, gravest, None, "").as_expected is fits


def test_an_act_that_failed_is_not_as_expected() -> None:
    assert not outcome_of(METRICS, {}, None, "OSError: no").as_expected


def test_the_last_report_is_kept(tmp_path: Path) -> None:
    outcome = outcome_of(
        SHELL, {"level": "critical", "techniques": ["T1059"], "summary": "s"}, 0.4, ""
    )
    keep(tmp_path, "w", [outcome])
    assert latest(tmp_path)["drills"][0]["name"] == "shell"
    assert latest(tmp_path)["as_expected"] == 1


def test_without_a_run_there_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(NoReportError, match="agent drill run"):
        latest(tmp_path)


def test_the_matrix_names_what_was_missed_and_the_sums(tmp_path: Path) -> None:
    outcomes: list[Outcome] = [
        outcome_of(SHELL, {"level": "critical", "summary": "s"}, 0.4, ""),
        outcome_of(DRILLS["beacon"], {}, None, ""),
        outcome_of(METRICS, {"level": "high", "summary": "a program"}, 0.7, ""),
    ]
    text = matrix(keep(tmp_path, "w", outcomes))
    assert "beacon (at least high): nothing told" in text
    assert "metrics (at most low): a program" in text
    assert "1 of 2 attacks caught; 0 of 1 look-alikes quiet." in text


def test_the_list_tells_what_each_does() -> None:
    text = drill_table([drill.as_json() for drill in DRILLS.values()])
    assert len(text.splitlines()) == len(DRILLS) + 1


def test_recordings_lie_where_evaluation_looks_for_them(tmp_path: Path) -> None:
    assert not Recordings(tmp_path, None)
    assert Recordings(tmp_path, tmp_path / "kept")
    assert {one.name for one in (tmp_path / "kept").iterdir()} == {NORMAL, ATTACK}


def test_a_directory_that_holds_recordings_takes_no_others(tmp_path: Path) -> None:
    (tmp_path / "normal").mkdir()
    (tmp_path / "normal" / "shell.rec").write_bytes(b"")
    with pytest.raises(DrillRecordingError, match="holds recordings already"):
        Recordings(tmp_path, tmp_path)
