"""Sightings as items: nothing is renamed on the way but call numbers."""

from collections.abc import Callable

import pytest

from agent.daemon.items import item_of
from agent.daemon.lineage import Lineage
from collectors.sightings import Sighting
from detectors.window import ItemKind

NOBODY = 4_194_305  # above the kernel's highest pid

See = Callable[..., Sighting]


@pytest.mark.parametrize("kind", ["exec", "file", "write", "library", "peer", "listen"])
def test_a_sighting_becomes_an_item_of_its_own_kind(see: See, kind: str) -> None:
    sighting = see(kind, "/x", pid=NOBODY, time_ns=77, count=3, marks=frozenset({"create"}))
    item = item_of(sighting, "worker", Lineage())
    assert item is not None
    assert (item.kind, item.item, item.role) == (ItemKind(kind), "/x", "worker")
    assert (item.time_ns, item.pid, item.count) == (77, NOBODY, 3)
    assert item.marks == {"create"}


def test_an_exit_is_no_novelty(see: See) -> None:
    assert item_of(see("exit", ""), "main", Lineage()) is None


def test_a_call_is_told_by_its_name(see: See) -> None:
    item = item_of(see("syscall", "101", pid=NOBODY), "main", Lineage())
    assert item is not None
    assert item.item == "ptrace"


def test_a_call_nobody_knows_keeps_its_number(see: See) -> None:
    item = item_of(see("syscall", "510", pid=NOBODY), "main", Lineage())
    assert item is not None
    assert item.item == "syscall_510"


def test_calls_of_another_architecture_are_foreign_and_have_no_name(see: See) -> None:
    sighting = see("syscall", "101", pid=NOBODY, marks=frozenset({"foreign"}))
    item = item_of(sighting, "main", Lineage())
    assert item is not None
    assert item.item == "foreign"


def test_a_denied_connection_is_a_peer_marked_as_denied(see: See) -> None:
    item = item_of(see("denied", "tcp 10.0.0.1:443", pid=NOBODY), "main", Lineage())
    assert item is not None
    assert (item.kind, item.marks) == (ItemKind.PEER, frozenset({"denied"}))


def test_a_new_program_is_its_own_executable(see: See) -> None:
    item = item_of(see("exec", "/bin/dash", pid=NOBODY), "main", Lineage())
    assert item is not None
    assert item.exe == "/bin/dash"


def test_a_file_is_told_with_the_program_that_opened_it(see: See) -> None:
    lineage = Lineage()
    lineage.learn(see("exec", "/bin/dash", pid=NOBODY))
    item = item_of(see("file", "/etc/shadow", pid=NOBODY), "main", lineage)
    assert item is not None
    assert item.exe == "/bin/dash"
