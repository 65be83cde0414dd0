"""Commands: what they ask of the running agent, what they refuse, and how failures end."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from agent.cli import app, times
from agent.control import ControlServer
from agent.seal import unseal
from detectors.baseline import Baseline
from detectors.window import Item, ItemKind

Run = Callable[..., Any]

OFFERED = {
    "run": (),
    "status": (),
    "doctor": (),
    "top": (),
    "watch": (),
    "unwatch": (),
    "verdicts": (),
    "explain": (),
    "contain": (),
    "release": (),
    "containments": (),
    "central": (),
    "version": (),
    "baseline": (
        "list",
        "show",
        "learn",
        "diff",
        "approve",
        "export",
        "import",
        "merge",
        "forget",
    ),
    "keys": ("new", "show", "allow", "revoke"),
    "config": ("check", "show"),
    "fleet": ("hosts", "verdicts"),
    "eval": ("traces", "recordings", "prior"),
    "record": (),
    "replay": (),
    "drill": ("list", "run", "report"),
    "evidence": (),
    "log": ("verify",),
    "models": ("scan", "trust", "verify", "history"),
    "workloads": (),
}


@pytest.fixture
def answers() -> dict[str, Any]:
    return {
        "watch": {"id": 1},
        "unwatch": None,
        "baseline_list": [{"workload": "a", "state": "guarding", "windows": 300}],
        "baseline_show": {
            "workload": "a",
            "state": "guarding",
            "windows": 300,
            "coverage": 0.99,
            "items": [{"role": "main", "kind": "file", "item": "/a"}],
        },
        "baseline_approve": {"approved": 1},
        "baseline_export": b"bytes",
        "baseline_import": None,
        "contain": {"id": "c1", "undo": "agent release c1"},
        "release": [{"id": "c1", "workload": "a"}],
    }


@pytest.mark.parametrize(
    "command",
    [
        *([name] for name, below in OFFERED.items() if not below),
        *([name, sub] for name, below in OFFERED.items() for sub in below),
    ],
)
def test_every_command_explains_itself_and_its_exit_codes(agent: Run, command: list[str]) -> None:
    outcome = agent(*command, "--help")
    assert outcome.code == 0
    assert "Usage: agent" in outcome.out
    if command != ["version"]:
        assert "Exit codes:" in outcome.out


def test_nothing_is_offered_that_is_not_there(agent: Run) -> None:
    commands = {
        command.name or getattr(command.callback, "__name__", "")
        for command in app.registered_commands
    }
    groups = {group.name for group in app.registered_groups}
    assert commands | groups == set(OFFERED)


def test_watch_asks_for_the_one_target_given(
    agent: Run, config: Path, running: ControlServer, asked: list[dict[str, Any]]
) -> None:
    assert agent("watch", "--name", "a", "--pid", 77, "--config", config).code == 0
    assert asked == [{"name": "a", "pid": 77}]


def test_watch_refuses_two_targets(agent: Run, config: Path) -> None:
    outcome = agent("watch", "--name", "a", "--pid", 77, "--unit", "b", "--config", config)
    assert (outcome.code, outcome.out) == (2, "")
    assert "exactly one of" in outcome.err


def test_a_baseline_is_shown_as_a_page(agent: Run, config: Path, running: ControlServer) -> None:
    out = agent("baseline", "show", "a", "--config", config).out
    assert out.splitlines() == [
        "a: guarding, 300 windows",
        "  covers 99.0% of what the kernel counted",
        "",
        "As main",
        "  file (1)",
        "    /a",
    ]


def test_approve_needs_items_or_a_verdict(agent: Run, config: Path) -> None:
    assert agent("baseline", "approve", "a", "--config", config).code == 2


def test_export_writes_the_bytes_that_import_sends(
    agent: Run, config: Path, running: ControlServer, asked: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = tmp_path / "a.baseline"
    assert agent("baseline", "export", "a", file, "--config", config).code == 0
    assert agent("baseline", "import", "a", file, "--config", config).code == 0
    assert asked[-1] == {"workload": "a", "content": b"bytes", "key": None}


def test_exported_baselines_are_merged_without_an_agent(
    agent: Run, config: Path, tmp_path: Path
) -> None:
    files = [tmp_path / name for name in ("one", "two")]
    for at, file in enumerate(files):
        baseline = Baseline("a", windows=at + 1)
        baseline.approve([Item(ItemKind.FILE, f"/srv/{file.name}", "main", 1, 1)])
        file.write_bytes(baseline.to_bytes())
    arguments = ("baseline", "merge", *files, "--to", tmp_path / "both", "--config", config)
    assert agent(*arguments, "--json").json["items"] == 2
    sealed = unseal((tmp_path / "both").read_bytes())
    assert sealed.signer
    assert Baseline.from_bytes(sealed.content).windows == 3
    files[1].write_bytes(b"no baseline")
    outcome = agent(*arguments)
    assert (outcome.code, str(files[1]) in outcome.err) == (1, True)


def test_contain_takes_its_span_from_the_configuration_unless_told(
    agent: Run, config: Path, running: ControlServer, asked: list[dict[str, Any]]
) -> None:
    arguments = ("contain", "a", "--level", "freeze", "--reason", "test", "--config", config)
    assert "Undo: agent release c1" in agent(*arguments).out
    agent(*arguments, "--for", "90s")
    assert [request["for_s"] for request in asked] == [600.0, 90.0]


@pytest.mark.parametrize("arguments", [(), ("c1", "--all")])
def test_release_wants_one_or_all(agent: Run, config: Path, arguments: tuple[str, ...]) -> None:
    assert agent("release", *arguments, "--config", config).code == 2


def test_a_bad_configuration_is_exit_code_78_for_every_command(agent: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('[window]\nlength_s = "1"\nspeed = 1\n')
    for command in (["run"], ["status"], ["verdicts"], ["central"], ["config", "show"]):
        outcome = agent(*command, "--config", bad)
        assert (outcome.code, outcome.out) == (78, "")
        assert f"{bad}:2: window.length_s" in outcome.err
        assert f"{bad}:3: window.speed" in outcome.err


def test_config_check_tells_programs_key_value_and_line(agent: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('[window]\nlength_s = "1"\n')
    outcome = agent("config", "check", bad, "--json")
    assert outcome.code == 78
    (problem,) = outcome.json["problems"]
    assert (problem["key"], problem["value"], problem["line"]) == ("window.length_s", "1", 2)


@pytest.mark.skipif(os.getuid() != 0, reason="files of others than root's are refused: run as root")
def test_config_check_tells_the_mistakes_of_operator_probes_beside_its_own(
    agent: Run, tmp_path: Path
) -> None:
    probes, bad = tmp_path / "probes.d", tmp_path / "bad.toml"
    probes.mkdir()
    bad.write_text(f'[paths]\nprobes = "{probes}"\n[window]\nlength_s = "1"\n')
    (probes / "one.toml").write_text('description = "d"\nrate = 0\n[fields]\nitm = ["x"]\n')
    (probes / "one.c").write_text("")
    (probes / "half.toml").write_text('description = "d"\n[fields]\nitem = ["x"]\n')
    outcome = agent("config", "check", bad, "--json")
    told = [(one["file"], one["line"], one["key"]) for one in outcome.json["problems"]]
    assert outcome.code == 78
    assert told == [
        (str(bad), 4, "window.length_s"),
        (str(probes / "half.c"), 1, ""),
        (str(probes / "one.toml"), 2, "rate"),
        (str(probes / "one.toml"), 3, "fields.item"),
        (str(probes / "one.toml"), 4, "fields.itm"),
    ]


def test_config_show_tells_where_each_value_came_from(agent: Run, config: Path) -> None:
    shown = agent("config", "show", "--json", "--config", config).json
    assert shown["paths.run"]["origin"] == f"{config}:3"
    assert shown["window.length_s"] == {"value": 1.0, "origin": "default"}


def test_eval_wants_directories_that_exist(agent: Run, tmp_path: Path) -> None:
    none = tmp_path / "none"
    arguments = ("--train", none, "--normal", none, "--attack", none)
    for command in (("traces", *arguments), ("recordings", none)):
        outcome = agent("eval", *command)
        assert (outcome.code, outcome.out) == (2, "")
        assert "is no directory" in outcome.err


def test_version_is_one_line_with_the_probe_interface(agent: Run) -> None:
    assert agent("version", "--json").json["abi"] == 5
    assert agent("version").out.startswith("inferward 0.1.0 (probe ABI 5")


def test_a_fault_is_one_sentence_and_a_log_line(
    agent: Run, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("agent.control.request", broken)
    outcome = agent("status", "--config", config)
    assert outcome.code == 1
    assert '"event": "agent.failed"' in outcome.err
    assert "Traceback" not in outcome.err
    assert "Traceback" in agent("--debug", "status", "--config", config).err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172_800), ("1w", 604_800)],
)
def test_a_span_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert times.span_s(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "10m!", "-1h"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        times.span_s(text)


def test_since_is_a_span_ago_or_a_moment() -> None:
    assert times.since_ns("10m", 1_000_000_000_000) == 400_000_000_000
    assert times.since_ns("1970-01-01T00:01:00+00:00", 0) == 60_000_000_000
    assert times.since_ns(None, 5) == 0
    with pytest.raises(typer.BadParameter):
        times.since_ns("yesterday", 0)
