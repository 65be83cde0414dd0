"""Peers that say little are marked as such, and weighed so."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.daemon.familiar import Familiar
from collectors.engines.rulebook import Rulebook
from detectors import ordinary
from detectors.assessment import Level
from detectors.repertoire import Repertoire
from detectors.window import KNOWN_HOST, NAME_SERVICE, Item, ItemKind

HOSTS = ("stats.example.org", "*.models.example.org")


@pytest.fixture
def familiar(tmp_path: Path) -> Familiar:
    configured = tmp_path / "resolv.conf"
    configured.write_text("# by hand\nsearch x\nnameserver 10.9.8.7\nnameserver fd00::53\n")
    return Familiar(HOSTS, configured)


def peer(text: str) -> Item:
    return Item(ItemKind.PEER, text, "main", 1, 42)


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("dns stats.example.org", KNOWN_HOST),
        ("dns Stats.Example.Org.", KNOWN_HOST),
        ("dns eu.models.example.org", KNOWN_HOST),
        ("dns stats.example.org.evil.test", None),
        ("dns example.org", None),
        ("udp 10.9.8.7:53", NAME_SERVICE),
        ("tcp 10.9.8.7:53", NAME_SERVICE),
        ("udp [fd00::53]:53", NAME_SERVICE),
        ("udp 10.9.8.7:5353", None),
        ("udp 10.9.8.8:53", None),
        ("accept tcp 10.9.8.7", None),
    ],
)
def test_only_what_is_familiar_is_marked(familiar: Familiar, text: str, mark: str | None) -> None:
    assert familiar.mark(peer(text)).marks == (frozenset({mark}) if mark else frozenset())


def test_what_is_no_peer_stays_as_it_is(familiar: Familiar) -> None:
    item = replace(peer("udp 10.9.8.7:53"), kind=ItemKind.FILE)
    assert familiar.mark(item) == item


def test_a_name_server_added_later_is_known(familiar: Familiar, tmp_path: Path) -> None:
    assert not familiar.mark(peer("udp 10.1.1.1:53")).marks
    (tmp_path / "later").write_text("nameserver 10.1.1.1\n")
    (tmp_path / "later").replace(tmp_path / "resolv.conf")
    assert familiar.mark(peer("udp 10.1.1.1:53")).marks == {NAME_SERVICE}


def test_a_host_without_that_file_knows_none(tmp_path: Path) -> None:
    assert not Familiar(HOSTS, tmp_path / "none").mark(peer("udp 10.9.8.7:53")).marks


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("dns stats.example.org", Level.LOW),
        ("dns other.example.org", Level.MEDIUM),
        ("udp 10.9.8.7:53", Level.INFO),
        ("udp 10.9.8.8:53", Level.HIGH),
        ("tcp 10.9.8.7:443", Level.HIGH),
    ],
)
def test_what_is_familiar_weighs_less(familiar: Familiar, text: str, level: Level) -> None:
    assert ordinary.weight(familiar.mark(peer(text)), Repertoire())[0] is level


def test_what_the_published_onnx_runtime_asks_for_is_among_the_known() -> None:
    assert "mobile.events.data.microsoft.com" in Rulebook.load().hosts()
