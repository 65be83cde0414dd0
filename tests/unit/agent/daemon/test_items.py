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


def test_an_ordinary_exit_is_no_novelty(see: See) -> None:
    assert item_of(see("exit", "code 0"), "main", Lineage()) is None


def test_a_crash_is_told_without_who_sent_the_signal(see: See) -> None:
    marks = frozenset({"crash", "core"})
    sighting = see("exit", "crash SIGABRT, core dumped from sh (pid 1, uid 0)", marks=marks)
    item = item_of(sighting, "main", Lineage())
    assert item is not None
    assert (item.kind, item.item) == (ItemKind.PROBE, "crash SIGABRT, core dumped")


def test_a_name_of_the_kernels_threads_is_marked(see: See) -> None:
    item = item_of(see("title", "set-name kworker/0:0", pid=NOBODY), "main", Lineage())
    assert item is not None
    assert (item.kind, item.item) == (ItemKind.SYSCALL, "set-name kworker/0:0")
    assert item.marks == {"kernel-name"}


def test_a_program_started_under_such_a_name_is_marked(see: See) -> None:
    sighting = see("exec", "/usr/bin/python3", pid=NOBODY, arguments=("[kworker/0:0]", "-c"))
    item = item_of(sighting, "main", Lineage())
    assert item is not None
    assert item.marks == {"kernel-name"}


def test_a_call_is_told_by_its_name(see: See) -> None:
    item = item_of(see("syscall", "101", pid=NOBODY), "main", Lineage())
    assert item is not None
    assert item.item == "ptrace"


def test_a_call_nobody_knows_keeps_its_number(see: See) -> None:
    item = item_of(see("syscall", "510", pid=NOBODY), "main", Lineage())
    assert item is not None
    assert item.item == "syscall_510"


@pytest.mark.parametrize(
    ("number", "name"),
    [("510", "foreign"), ("101", "foreign ptrace"), ("prctl set-mm", "foreign prctl set-mm")],
)
def test_calls_by_another_entry_are_foreign(see: See, number: str, name: str) -> None:
    sighting = see("syscall", number, pid=NOBODY, marks=frozenset({"foreign"}))
    item = item_of(sighting, "main", Lineage())
    assert item is not None
    assert item.item == name


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
