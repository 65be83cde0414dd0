"""Who is who: executables, arguments and parents of watched processes, also after they ended."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from collectors.processes import ProcessTable
from collectors.sightings import Sighting

KEPT: Final = 4096
"""Processes remembered: a tree of a few hundred, through several restarts."""

_MAX_DEPTH: Final = 32
_MAX_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Person:
    """One process, as far as known."""

    pid: int
    ppid: int
    exe: str
    cmdline: tuple[str, ...]
    uid: int
    cgroup: str


class Lineage:
    """Remembers processes by pid; a new program or a new process replaces the old entry."""

    def __init__(self) -> None:
        """Know nobody."""
        self._known: OrderedDict[int, Person] = OrderedDict()

    def learn_table(self, table: ProcessTable, pids: Iterable[int]) -> None:
        """Take in what /proc says of these processes and all above them."""
        for pid in pids:
            process = table.get(pid)
            for each in (*(() if process is None else (process,)), *table.ancestry(pid)):
                if each.pid not in self._known:
                    cmdline, uid = each.cmdline, each.uid
                    self._put(Person(each.pid, each.ppid, each.exe, cmdline, uid or 0, each.cgroup))

    def learn(self, sighting: Sighting) -> None:
        """Take in a new program; kernel facts, so they hold when the process is gone."""
        if sighting.kind != "exec":
            return
        parent = self._known.get(sighting.ppid)
        self._put(
            Person(
                sighting.pid,
                sighting.ppid,
                sighting.item,
                self._arguments(sighting),
                sighting.uid,
                parent.cgroup if parent else "",
            )
        )

    def meet(self, sighting: Sighting) -> None:
        """Take in who opened another's file. Nothing older of that number is believed.

        The executable is as the kernel told it, the rest from /proc if it still lives.
        """
        living = _from_proc(sighting.pid)
        if living is None or not living.exe.endswith(sighting.exe):
            words = (sighting.comm,)
            living = Person(sighting.pid, sighting.ppid, sighting.exe, words, sighting.uid, "")
        self._put(living)

    def find(self, pid: int, ppid: int = 0) -> Person:
        """What is known of a process; a forked child that ran no program is its parent's image."""
        if pid in self._known:
            return self._known[pid]
        person = _from_proc(pid)
        if person is None:
            above = self._known.get(ppid)
            unknown = Person(pid, ppid, "", (), 0, "")
            return replace(above, pid=pid, ppid=ppid) if above else unknown
        self._put(person)
        return person

    def describe(self, pid: int, ppid: int = 0) -> dict[str, Any]:
        """The `process` part of a verdict."""
        person = self.find(pid, ppid)
        return {
            "pid": person.pid,
            "exe": person.exe,
            "cmdline": list(person.cmdline),
            "uid": person.uid,
            "cgroup": person.cgroup,
            "ancestry": [{"pid": p.pid, "exe": p.exe} for p in self._above(person)],
        }

    def _above(self, person: Person) -> list[Person]:
        chain: list[Person] = []
        while person.ppid > 0 and len(chain) < _MAX_DEPTH:
            person = self.find(person.ppid)
            chain.append(person)
        return chain

    @staticmethod
    def _arguments(sighting: Sighting) -> tuple[str, ...]:
        """All of them while the process lives; else the first bytes, which the kernel kept."""
        living = _from_proc(sighting.pid)
        same = living is not None and living.cmdline[:1] == sighting.arguments[:1]
        return living.cmdline if living is not None and same else sighting.arguments

    def _put(self, person: Person) -> None:
        self._known[person.pid] = person
        self._known.move_to_end(person.pid)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)


def _from_proc(pid: int) -> Person | None:
    """Read a living process; None if it is gone, which is normal."""
    root = Path("/proc", str(pid))
    try:
        stat = (root / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        exe = str((root / "exe").readlink())
        with (root / "cmdline").open("rb") as file:
            raw = file.read(_MAX_BYTES).rstrip(b"\0")
        cgroup = (root / "cgroup").read_text("utf-8", "replace")
        uid = root.stat().st_uid
    except (OSError, IndexError):
        return None
    words = tuple(word.decode("utf-8", "backslashreplace") for word in raw.split(b"\0"))
    unified = next((line[3:] for line in cgroup.splitlines() if line.startswith("0::")), "")
    return Person(pid, int(stat[1]), exe, words, uid, unified)
