"""A command line to call, and a running agent's socket to call it against."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.control import ControlServer, Handler
from agent.main import main


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401  (whatever was printed)
        return json.loads(self.out)


Run = Callable[..., Outcome]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(
        f'[paths]\nstate = "{tmp_path}/state"\nrun = "{tmp_path}/run"\npins = "{tmp_path}/pins"\n'
    )
    (tmp_path / "state").mkdir()
    return path


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["agent", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return run


@pytest.fixture
def answers() -> dict[str, Any]:
    """What the running agent answers, by operation; a test fills it."""
    return {}


@pytest.fixture
def asked() -> list[dict[str, Any]]:
    """The arguments of every request so far."""
    return []


@pytest.fixture
def running(
    tmp_path: Path, answers: dict[str, Any], asked: list[dict[str, Any]]
) -> Iterator[ControlServer]:
    def answer(op: str) -> Handler:
        def handle(args: Mapping[str, Any]) -> object:
            asked.append(dict(args))
            return answers[op]

        return handle

    with ControlServer(tmp_path / "run", {op: answer(op) for op in answers}) as server:
        yield server
