"""`agent models` as a step of a build calls it."""

import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.main import main
from agent.models.ledger import Ledger

Run = Callable[..., tuple[int, str, str]]


class Shell:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


@pytest.fixture
def agent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    config = tmp_path / "agent.toml"
    config.write_text(f'[paths]\nstate = "{tmp_path}/state"\nrun = "{tmp_path}/run"\n')

    def run(*arguments: object, configured: bool = True) -> tuple[int, str, str]:
        extra = ["--config", str(config)] if configured else []
        monkeypatch.setattr(sys, "argv", ["agent", "models", *map(str, arguments), *extra])
        code: Any = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        out, err = capsys.readouterr()
        return code or 0, out, err

    return run


def test_a_clean_directory_passes(agent: Run, model: Path) -> None:
    code, out, _ = agent("scan", model, configured=False)
    assert (code, out) == (0, "Nothing found in 3 files, 22 B.\n")


def test_a_finding_fails_and_says_what_to_do(agent: Run, model: Path) -> None:
    (model / "evil.pkl").write_bytes(pickle.dumps(Shell()))
    code, out, _ = agent("scan", model, configured=False)
    assert code == 1
    assert "loading it calls posix.system('true') (AML.T0011.000" in out
    assert "To do: do not load it" in out


def test_json_holds_every_finding_and_nothing_else(agent: Run, model: Path) -> None:
    (model / "evil.pkl").write_bytes(pickle.dumps(Shell()))
    code, out, _ = agent("scan", model, "--json", configured=False)
    answer = json.loads(out)
    assert (code, answer["worst"], answer["files"]) == (1, "danger", 4)
    assert answer["findings"][0]["rule"] == "pickle-danger"


def test_sarif_names_files_relative_to_the_checkout(
    agent: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (model / "evil one.pkl").write_bytes(pickle.dumps(Shell()))
    monkeypatch.chdir(tmp_path)
    agent("scan", "model", "--sarif", tmp_path / "out.sarif", configured=False)
    (run,) = json.loads((tmp_path / "out.sarif").read_text())["runs"]
    (result,) = run["results"]
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert (result["ruleId"], result["level"]) == ("pickle-danger", "error")
    assert place == "model/evil%20one.pkl"
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "pickle-danger"


def test_a_notice_fails_only_when_asked(agent: Run, model: Path) -> None:
    (model / "plain.pkl").write_bytes(pickle.dumps({}))
    assert agent("scan", model, configured=False)[0] == 0
    assert agent("scan", model, "--fail-on", "notice", configured=False)[0] == 1


def test_what_was_approved_verifies_until_it_changes(agent: Run, model: Path) -> None:
    assert agent("trust", model)[0] == 0
    assert agent("verify", model)[0] == 0
    (model / "weights.safetensors").write_bytes(b"")
    code, out, _ = agent("verify", model, "--json")
    assert code == 1
    assert {one["what"] for one in json.loads(out)["findings"]} == {"changed"}


def test_a_dangerous_directory_is_not_approved(agent: Run, model: Path) -> None:
    (model / "evil.pkl").write_bytes(pickle.dumps(Shell()))
    code, _, err = agent("trust", model)
    assert code == 1
    assert err.endswith("Not approved.\n")
    assert agent("verify", model)[0] == 5
    assert agent("trust", model, "--force")[0] == 0


def test_a_directory_that_is_not_there_is_unknown(agent: Run, tmp_path: Path) -> None:
    code, _, err = agent("verify", tmp_path / "none")
    assert code == 4
    assert "There is no directory" in err


def test_history_shows_who_used_a_file(agent: Run, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "state" / "ledger.db") as ledger:
        ledger.note(
            path="/m/a.gguf", access="map", time_ns=1, workload="w", pid=1, exe="/bin/server"
        )
    code, out, _ = agent("history", "/m/a.gguf", "--json")
    assert (code, json.loads(out)[0]["exe"]) == (0, "/bin/server")
    assert agent("history", "/m/other.gguf")[0] == 4


def test_a_directory_is_not_approved_on_a_bundle_that_cannot_be_checked(
    agent: Run, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "model.sig").write_text("{}")
    (tmp_path / "key.pub").write_text("none")
    code, _, err = agent("trust", model, "--bundle", tmp_path / "model.sig")
    assert code == 2
    assert "a bundle needs either a key or certificates" in " ".join(err.split())
    keyed = ("--bundle", tmp_path / "model.sig", "--bundle-key", tmp_path / "key.pub")
    assert agent("trust", model, *keyed)[0] != 0
    assert agent("verify", model)[0] == 5, "nothing was approved"
