import sqlite3
import sys
from pathlib import Path

import pytest

from agent.main import main
from agent.store import Store


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(
        f'[paths]\nstate = "{tmp_path}/state"\nrun = "{tmp_path}/run"\npins = "{tmp_path}/pins"\n'
    )
    (tmp_path / "state").mkdir()
    with Store.open(tmp_path / "state" / "events.db") as store:
        for number in range(3):
            store.append_event("test.event", number, {"number": number})
    return path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["agent", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_whole_log_is_said_to_be_whole(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "log", "verify", "--config", config) == 0
    assert "The log is whole: 3 entries" in capsys.readouterr().out


def test_a_changed_entry_breaks_the_log(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect(config.parent / "state" / "events.db") as connection:
        connection.execute("UPDATE log SET record = x'7b7d' WHERE entry = 2")
    connection.close()
    assert run(monkeypatch, "log", "verify", "--config", config) == 1
    assert "broken at entry 2" in capsys.readouterr().out


def test_evidence_of_nothing_known_is_refused(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "evidence", "01NONE", "--config", config) == 4
    assert "Neither a containment nor a verdict" in capsys.readouterr().err
    assert not (config.parent / "state" / "evidence").exists()
