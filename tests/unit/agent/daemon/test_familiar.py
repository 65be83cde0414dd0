"""Peers that say little are marked as such, and weighed so."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent.daemon.familiar import Familiar
from collectors.engines.rulebook import Rulebook
from detectors import ordinary
from detectors.assessment import Level
from detectors.repertoire import Repertoire
from detectors.window import KNOWN_HOST, NAME_SERVICE, TEMPORARY, Item, ItemKind

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


@contextmanager
def process(**environment: str) -> Iterator[int]:
    running = subprocess.Popen(["sleep", "60"], env=environment | {"PATH": os.environ["PATH"]})
    try:
        while not Path(f"/proc/{running.pid}/environ").read_bytes():
            pass  # the kernel closes our end before it has the new program's variables in place
        yield running.pid
    finally:
        running.kill()
        running.wait()


@pytest.mark.parametrize(
    ("variables", "path", "own"),
    [
        ({"TMPDIR": "/srv/scratch"}, "/srv/scratch/tmpab12cd34", True),
        ({"TMPDIR": "/srv/scratch/"}, "/srv/scratch/a/b", True),
        ({"TMPDIR": "/srv/scratch"}, "/srv/scratch-of-others/a", False),
        ({"TMPDIR": "/srv/scratch"}, "unix /srv/scratch/worker.sock", True),
        ({"TMP": "/srv/last", "TMPDIR": "/srv/scratch"}, "/srv/last/a", False),
        ({"TMP": "/srv/last"}, "/srv/last/a", True),
        ({"TMPDIR": "/"}, "/srv/models/a", False),
        ({"TMPDIR": "/srv"}, "/srv/models/a", False),
        ({"TMPDIR": "scratch"}, "/srv/scratch/a", False),
        ({}, "/srv/scratch/a", False),
    ],
)
def test_the_processes_own_directory_for_temporary_files_is_marked(
    familiar: Familiar,
    variables: dict[str, str],
    path: str,
    own: bool,  # noqa: FBT001 - a case of the table
) -> None:
    kind = ItemKind.PEER if path.startswith("unix ") else ItemKind.WRITE
    with process(**variables) as pid:
        seen = familiar.mark(Item(kind, path, "main", 1, pid))
    assert (TEMPORARY in seen.marks) is own


def test_what_it_is_marked_as_weighs_what_the_same_does_in_tmp() -> None:
    for kind, path in ((ItemKind.WRITE, "/srv/scratch/x"), (ItemKind.PEER, "unix /srv/scratch/x")):
        there = Item(kind, path, "main", 1, 42)
        marked = replace(there, marks=frozenset({TEMPORARY}))
        in_tmp = replace(there, item=path.replace("/srv/scratch", "/tmp"))
        known = Repertoire()
        assert ordinary.weight(there, known)[0] is Level.MEDIUM
        assert ordinary.weight(marked, known) == ordinary.weight(in_tmp, known)


def test_a_model_that_it_read_is_no_temporary_file() -> None:
    known = Repertoire()
    known.add(Item(ItemKind.FILE, "/srv/scratch/model.onnx", "main", 1, 42))
    marks = frozenset({TEMPORARY})
    written = Item(ItemKind.WRITE, "/srv/scratch/model.onnx", "main", 2, 42, marks=marks)
    assert ordinary.weight(written, known)[0] is Level.HIGH


def test_a_process_that_is_gone_has_no_directory(familiar: Familiar) -> None:
    with process(TMPDIR="/srv/scratch") as pid:
        pass
    assert not familiar.mark(Item(ItemKind.WRITE, "/srv/scratch/x", "main", 1, pid)).marks
