import os
from pathlib import Path
from typing import Any

from tests.demo.judge import alarming, family, lost, missing, same, sequences
from tests.servers.attack import Attack

ATTACK = Attack(Path("/tmp/home/.ssh/id_ed25519"), 4711, "/bin/sh")


def verdict(*novel: tuple[str, str], level: str = "critical", **more: object) -> dict[str, Any]:
    items = [{"kind": kind, "item": item, "pid": 7} for kind, item in novel]
    return {"id": "1", "level": level, "summary": "words", "novel": items, **more}


FULL = (
    ("exec", os.path.realpath("/bin/sh")),
    ("file", "/tmp/home/.ssh/id_ed25519"),
    ("peer", "tcp 127.0.0.1:4711"),
)


def test_a_verdict_that_names_exec_file_and_peer_misses_nothing() -> None:
    assert missing([verdict(*FULL)], ATTACK) == []


def test_what_neighbouring_windows_name_counts_too() -> None:
    assert missing([verdict(*FULL[:1]), verdict(*FULL[1:])], ATTACK) == []


def test_what_no_verdict_names_is_missing() -> None:
    assert missing([verdict(FULL[0], FULL[2])], ATTACK) == ["file /tmp/home/.ssh/id_ed25519"]


def test_another_port_is_not_the_peer() -> None:
    other = verdict(*FULL[:2], ("peer", "tcp 127.0.0.1:4712"))
    assert missing([other], ATTACK) == ["peer 127.0.0.1:4711"]


def test_only_verdicts_above_low_alarm() -> None:
    levels = ("info", "low", "medium", "high")
    assert alarming([verdict(level=level) for level in levels]) == ["medium: words", "high: words"]


def test_sequences_come_from_the_verdict_and_from_novel_items() -> None:
    calls = [{"calls": ["dup2", "execve"]}]
    found = verdict(("sequence", "socket connect"), sequences=calls)
    assert sequences([found]) == ["dup2 execve", "socket connect"]


def test_family_holds_ancestors_the_process_and_who_did_new_things() -> None:
    shown = verdict(FULL[0], process={"pid": 5, "ancestry": [{"pid": 4}, {"pid": 1}]})
    assert {1, 4, 5, 7} <= family(shown)


def test_central_holding_another_level_is_told() -> None:
    assert same(verdict(*FULL), verdict(*FULL, level="high")) == ["level"]


def test_losses_of_reasons_and_of_sensors_are_both_told() -> None:
    status = {
        "losses": {"ring full": 2, "read fault": 0},
        "sensors": {"exec": {"events": 9, "lost": 1}, "file": {"events": 9, "lost": 0}},
    }
    assert lost(status) == {"ring full": 2, "sensor exec": 1}
