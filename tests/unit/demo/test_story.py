import io
import json
from pathlib import Path

import pytest

from tests.demo.commands import CommandError
from tests.demo.keys import public_key
from tests.demo.story import DemoFailedError, Story


def test_nothing_checked_is_not_a_success() -> None:
    assert not Story(io.StringIO()).held


def test_one_condition_that_did_not_hold_is_enough_to_fail() -> None:
    story = Story(io.StringIO())
    story.check("first", held=True)
    story.check("second", held=False)
    assert not story.held
    assert story.as_json()["failed"] == ["second"]


def test_a_required_condition_ends_the_story_and_is_recorded() -> None:
    story = Story(io.StringIO())
    with pytest.raises(DemoFailedError, match="ready: it is learning"):
        story.require("ready", held=False, detail="it is learning")
    assert [check.name for check in story.checks] == ["ready"]


def test_the_report_holds_every_figure(tmp_path: Path) -> None:
    story = Story(io.StringIO())
    story.figure("exec_to_frozen_ms", 12.5, "ms")
    story.write_json(tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["figures"] == {"exec_to_frozen_ms": 12.5}


def test_progress_that_did_not_change_is_told_once_where_no_terminal_is() -> None:
    out = io.StringIO()
    story = Story(out)
    for _ in range(3):
        story.progress("learning")
    assert out.getvalue().count("learning") == 1


def test_a_public_key_is_found_by_its_name_and_length() -> None:
    assert public_key({"name": "central", "public_key": "k" * 40}) == "k" * 40


@pytest.mark.parametrize("shown", [{}, [], {"public_key": "short"}, {"secret": "k" * 40}, None])
def test_what_is_no_public_key_is_refused(shown: object) -> None:
    with pytest.raises(CommandError):
        public_key(shown)
