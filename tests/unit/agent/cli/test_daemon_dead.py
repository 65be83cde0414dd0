"""What works with no agent running: verdicts, explain, containments, release, keys."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.daemon.baselines import BaselineFiles
from agent.store import Store
from detectors.baseline import Baseline

Run = Callable[..., Any]


def verdict(number: int, level: str, workload: str = "a") -> dict[str, Any]:
    return {
        "id": f"01J{number:03}",
        "host": "h1",
        "time_ns": number * 60_000_000_000,
        "workload": workload,
        "engine": "generic",
        "level": level,
        "summary": f"Verdict {number}.",
        "response": None,
    }


@pytest.fixture
def recorded(config: Path) -> Path:
    with Store.open(config.parent / "state" / "events.db") as store:
        for number, level in enumerate(("low", "high", "critical")):
            store.append_verdict(verdict(number, level))
        store.append_verdict(verdict(3, "high", workload="b"))
    return config


def ids(outcome: Any) -> list[str]:  # noqa: ANN401  (an Outcome)
    return [found["id"] for found in outcome.json]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), ["01J000", "01J001", "01J002", "01J003"]),
        (("--min-level", "high"), ["01J001", "01J002", "01J003"]),
        (("--workload", "b"), ["01J003"]),
        (("--since", "1970-01-01T00:02:00+00:00"), ["01J002", "01J003"]),
        (("--since", "10m"), []),
    ],
)
def test_verdicts_are_filtered(
    agent: Run, recorded: Path, options: tuple[str, ...], expected: list[str]
) -> None:
    assert ids(agent("verdicts", *options, "--json", "--config", recorded)) == expected


def test_verdicts_are_a_table_for_people(agent: Run, recorded: Path) -> None:
    out = agent("verdicts", "--config", recorded).out
    assert out.splitlines()[0].split() == ["TIME", "LEVEL", "WORKLOAD", "WHAT", "DONE", "ID"]
    assert "Verdict 2." in out


def test_no_such_level_is_wrong_usage(agent: Run, recorded: Path) -> None:
    assert agent("verdicts", "--min-level", "huge", "--config", recorded).code == 2


def test_explain_takes_the_beginning_of_an_id(agent: Run, recorded: Path) -> None:
    assert agent("explain", "01J002", "--config", recorded).out.startswith("Verdict 2.\ncritical")


def test_explain_writes_a_page_to_a_file_or_to_standard_output(
    agent: Run, recorded: Path, tmp_path: Path
) -> None:
    printed = agent("explain", "01J002", "--html", "-", "--config", recorded).out
    there = tmp_path / "verdict.html"
    assert agent("explain", "01J002", "--html", there, "--config", recorded).code == 0
    assert printed == there.read_text("utf-8")
    assert printed.startswith("<!doctype html>")
    nowhere = tmp_path / "none" / "verdict.html"
    outcome = agent("explain", "01J002", "--html", nowhere, "--config", recorded)
    assert outcome.code == 1
    assert "cannot be written" in outcome.err


def test_explaining_what_is_not_there_is_exit_code_4(agent: Run, recorded: Path) -> None:
    outcome = agent("explain", "01X", "--config", recorded)
    assert (outcome.code, outcome.out) == (4, "")
    assert "01X" in outcome.err


def test_verdicts_where_none_was_ever_recorded_is_exit_code_3(agent: Run, config: Path) -> None:
    outcome = agent("verdicts", "--config", config)
    assert (outcome.code, outcome.err.count("\n")) == (3, 1)


def test_follow_prints_a_document_per_line_until_stopped(
    agent: Run, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    outcome = agent("verdicts", "--follow", "--workload", "b", "--config", recorded)
    assert [json.loads(line)["id"] for line in outcome.out.splitlines()] == ["01J003"]
    assert outcome.code == 130


def test_nothing_is_contained_on_a_fresh_host(agent: Run, config: Path) -> None:
    assert agent("containments", "--json", "--config", config).json == []
    assert agent("containments", "--config", config).out == "Nothing is contained.\n"


def test_releasing_what_is_not_contained_is_exit_code_4(agent: Run, config: Path) -> None:
    assert agent("release", "c1", "--config", config).code == 4


def test_release_all_with_nothing_contained_is_no_failure(agent: Run, config: Path) -> None:
    outcome = agent("release", "--all", "--config", config)
    assert (outcome.code, outcome.out) == (0, "Released: nothing was contained.\n")


def test_containing_an_unknown_workload_is_exit_code_4(agent: Run, config: Path) -> None:
    arguments = ("contain", "x", "--level", "freeze", "--reason", "test")
    assert agent(*arguments, "--config", config).code == 4


def test_kept_baselines_are_listed_and_shown(agent: Run, config: Path) -> None:
    BaselineFiles(config.parent / "state").save(Baseline("a"))
    (line,) = agent("baseline", "list", "--json", "--config", config).json
    assert (line["workload"], line["state"], line["windows"]) == ("a", "learning", 0)
    assert agent("baseline", "show", "a", "--config", config).out.startswith("a: learning")
    assert agent("baseline", "show", "b", "--config", config).code == 4


def test_a_damaged_baseline_is_named_and_left_alone(agent: Run, config: Path) -> None:
    files = BaselineFiles(config.parent / "state")
    files.save(Baseline("a"))
    files.path("a").write_bytes(b"garbage")
    outcome = agent("baseline", "show", "a", "--config", config)
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert files.path("a").read_bytes() == b"garbage"


def test_keys_are_made_shown_allowed_and_revoked(agent: Run, config: Path) -> None:
    made = agent("keys", "new", "central", "--name", "c", "--json", "--config", config).json
    assert agent("keys", "new", "central", "--config", config).code == 6
    assert agent("keys", "allow", "h1", made["public"], "--config", config).code == 0
    shown = agent("keys", "show", "--json", "--config", config).json
    assert [(key["role"], key["name"]) for key in shown] == [("central", "c"), ("allowed", "h1")]
    assert "secret" not in json.dumps(shown)
    assert agent("keys", "revoke", "h1", "--config", config).code == 0
    assert agent("keys", "revoke", "h1", "--config", config).code == 4


def test_fleet_without_a_central_is_exit_code_3(agent: Run, config: Path) -> None:
    outcome = agent("fleet", "hosts", "--config", config)
    assert (outcome.code, outcome.out) == (3, "")
    assert "agent central" in outcome.err
