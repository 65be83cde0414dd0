"""Who runs on this host: identities, trees, and what `/proc` tells of a process that ran before us.

A snapshot reads one small file per process. Everything dearer (maps, open files, sockets) is read
when first asked for, and belongs to the same process or is dropped: a pid that was given to
another in between is noticed by its start time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from collectors import procfs
from collectors.cgroups import Place, parse_place
from collectors.procfs import Listener, MappedFile, OpenFile, ReadCounts, Source

NS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
FACTS_NS = 60_000_000_000  # what was read of a settled process is believed this long
# Change with an exec alone, or by the process's own will (a title), which is a hint anyway.
_CARRIED = ("exe", "_exe_link", "exe_id", "cmdline", "line", "place", "uid")


class FileId(NamedTuple):
    """A file's identity in the kernel."""

    device: int
    inode: int


@dataclass(frozen=True)
class Process:
    """One process: fields true at the snapshot, properties read at first use and kept.

    What cannot be read is empty (or None where empty would be an answer) and counted in the
    table's `counts`.
    """

    pid: int
    start_ticks: int  # since boot; with the pid it is the identity
    ppid: int
    comm: str
    threads: int
    kernel: bool  # a kernel thread: no executable, no user memory
    source: Source = field(repr=False, compare=False)
    virtual_bytes: int = field(default=0, compare=False)  # address space: grows as it maps
    fresh_until_ns: int = field(default=0, repr=False, compare=False)  # as its facts, BOOTTIME
    session: int = field(default=0, compare=False)  # the pid of whoever began it; 0: none in sight

    @property
    def identity(self) -> tuple[int, int]:
        """Pid and start: never the same for two processes of one boot."""
        return self.pid, self.start_ticks

    @property
    def start_time_ns(self) -> int:
        """Start on CLOCK_BOOTTIME, with the resolution of a clock tick (10 ms)."""
        return self.start_ticks * NS_PER_TICK

    @cached_property
    def exe(self) -> str:
        """Path of the executable as its own mount namespace names it; "" when unreadable."""
        return self._exe_link.removesuffix(" (deleted)")

    @property
    def exe_deleted(self) -> bool:
        """Whether the executable's file is no longer at its path."""
        return self._exe_link.endswith(" (deleted)")

    @property
    def exe_name(self) -> str:
        """Last part of the executable's path."""
        return self.exe.rpartition("/")[2]

    @cached_property
    def exe_id(self) -> FileId | None:
        """Device and inode of the executable, also of a deleted one."""
        try:
            found = os.stat(self._path("exe"))  # noqa: PTH116 (the link itself leads to the inode, its text may not)
        except OSError as error:
            self.source.counts.note(error)
            return None
        return FileId(found.st_dev, found.st_ino) if self._same() else None

    @cached_property
    def cmdline(self) -> tuple[str, ...]:
        """Arguments as the process shows them now.

        A process may change them, so they are a hint.
        """
        data = self._read("cmdline", procfs.CMDLINE_LIMIT)
        # setproctitle pads with NULs what it did not use of the argument area.
        return (
            tuple(procfs.text(part) for part in data.rstrip(b"\0").split(b"\0"))
            if data.strip(b"\0")
            else ()
        )

    @cached_property
    def line(self) -> str:
        """Its arguments joined by spaces: what rules are held against, again and again."""
        return " ".join(self.cmdline)

    @cached_property
    def place(self) -> Place:
        """Cgroups, unit and container."""
        return parse_place(self._read("cgroup", procfs.SMALL_LIMIT))

    @property
    def cgroup(self) -> str:
        """Path in the unified tree."""
        return self.place.path

    @property
    def unit(self) -> str:
        """Innermost systemd service or scope."""
        return self.place.unit

    @property
    def container(self) -> str:
        """Container id, 64 hexadecimal digits."""
        return self.place.container

    @cached_property
    def uid(self) -> int | None:
        """Real user id; None when unreadable, since 0 would be root."""
        for line in self._read("status", procfs.SMALL_LIMIT).splitlines():
            if line.startswith(b"Uid:"):
                return int(line.split()[1])
        return None

    @cached_property
    def mapped(self) -> tuple[MappedFile, ...]:
        """Every file mapped.

        Reading it walks the address space: about 1 ms for a large Python server.
        """
        return procfs.parse_maps(self._read("maps", procfs.MAPS_LIMIT))

    @cached_property
    def mapped_names(self) -> frozenset[str]:
        """Last parts of the mapped files' paths: what rules ask for."""
        return frozenset(file.name for file in self.mapped)

    @cached_property
    def libraries(self) -> tuple[MappedFile, ...]:
        """Mapped files with executable pages, other than the executable."""
        return tuple(file for file in self.mapped if file.executable and file.path != self.exe)

    @cached_property
    def open_files(self) -> tuple[OpenFile, ...]:
        """Open descriptors, at most 65,536 of them."""
        found: list[OpenFile] = []
        directory = self._path("fd")
        try:
            names = os.listdir(directory)  # noqa: PTH208 (names alone, without a Path for each)
        except OSError as error:
            self.source.counts.note(error)
            return ()
        if len(names) > procfs.FDS_LIMIT:
            self.source.counts.truncated += 1
        for name in names[: procfs.FDS_LIMIT]:
            target = procfs.read_link(f"{directory}/{name}", self.source.counts)
            if target is not None:
                found.append(OpenFile(int(name), target))
        return tuple(sorted(found)) if self._same() else ()

    @cached_property
    def listeners(self) -> tuple[Listener, ...]:
        """TCP sockets this process holds in the listening state."""
        table = self.listening_here
        if not table:
            return ()
        held = (file.target for file in self.open_files if file.target.startswith("socket:["))
        found = {table[inode] for inode in (int(target[8:-1]) for target in held) if inode in table}
        return tuple(sorted(found))

    @property
    def listening_here(self) -> Mapping[int, Listener]:
        """Listening sockets of this process's network namespace by inode, whoever holds them."""
        namespace = procfs.read_link(self._path("ns/net"), self.source.counts)
        return self.source.listeners(self.pid, namespace) if namespace else {}

    @property
    def ports(self) -> frozenset[int]:
        """TCP ports it listens on."""
        return frozenset(listener.port for listener in self.listeners)

    @cached_property
    def _exe_link(self) -> str:
        link = None if self.kernel else procfs.read_link(self._path("exe"), self.source.counts)
        return link if link is not None and self._same() else ""

    def _path(self, name: str) -> str:
        return f"{self.source.root}/{self.pid}/{name}"

    def _read(self, name: str, limit: int) -> bytes:
        data = procfs.read(self._path(name), limit, self.source.counts)
        return data if data is not None and self._same() else b""

    def _same(self) -> bool:
        """Whether the pid is still this process.

        Read after a fact, so that the fact was its own.
        """
        stat = procfs.parse_stat(
            procfs.read(self._path("stat"), procfs.SMALL_LIMIT, self.source.counts) or b""
        )
        if stat is not None and stat.start_ticks == self.start_ticks:
            return True
        self.source.counts.vanished += 1
        return False


@dataclass(frozen=True)
class ProcessTable:
    """Every process of one moment.

    Parents are the kernel's parents now: an orphan's is pid 1 or a subreaper.
    """

    time_ns: int  # CLOCK_BOOTTIME of the snapshot
    processes: Mapping[int, Process]
    source: Source = field(repr=False)

    @property
    def counts(self) -> ReadCounts:
        """What could not be read so far."""
        return self.source.counts

    def __len__(self) -> int:
        """Return how many processes there were."""
        return len(self.processes)

    def __iter__(self) -> Iterator[Process]:
        """Go through the processes by ascending pid."""
        return iter(self.processes.values())

    def get(self, pid: int) -> Process | None:
        """Return the process with this pid, or None."""
        return self.processes.get(pid)

    def ancestry(self, pid: int) -> tuple[Process, ...]:
        """Return the parents of a process, nearest first, without itself."""
        found: list[Process] = []
        seen = {pid}
        process = self.processes.get(pid)
        # A parent read late may carry a reused pid: a circle ends the walk.
        while process is not None and process.ppid not in seen:
            seen.add(process.ppid)
            process = self.processes.get(process.ppid)
            if process is not None:
                found.append(process)
        return tuple(found)

    def descendants(self, pid: int) -> tuple[Process, ...]:
        """Return all processes below one, parents before their children."""
        found: list[Process] = []
        seen = {pid}
        waiting = [pid]
        while waiting:
            for child in self._children.get(waiting.pop(), ()):
                if child.pid not in seen:
                    seen.add(child.pid)
                    found.append(child)
                    waiting.append(child.pid)
        return tuple(found)

    def tree(self, pid: int) -> tuple[Process, ...]:
        """Return a process and all below it; empty when there is no such process."""
        root = self.processes.get(pid)
        return () if root is None else (root, *self.descendants(pid))

    def session(self, pid: int) -> tuple[Process, ...]:
        """Return whoever is in the session that this process began, whoever its parent is by now.

        Nobody joins another's session, so all of it descends from who began it; and the kernel
        gives its number to nobody else as long as anybody is in it (setsid(2), kernel/pid.c).
        """
        return tuple(process for process in self if process.session == pid)

    @cached_property
    def _children(self) -> Mapping[int, list[Process]]:
        children: dict[int, list[Process]] = {}
        for process in self:
            children.setdefault(process.ppid, []).append(process)
        return children


def snapshot(
    root: str = "/proc", before: ProcessTable | None = None, ran: Collection[int] = ()
) -> ProcessTable:
    """Read the processes of this host: one small file each, about 15 us per process.

    Args:
        root: A mounted procfs, or a directory laid out like one.
        before: An earlier snapshot: what it read of a program is taken over until the process is
            twice as old, 60 s at most. Libraries, open files and ports are read anew.
        ran: Processes known to have run a new program since: nothing is taken over for them.
    """
    source = Source(root)
    time_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    found: dict[int, Process] = {}
    for pid in sorted(int(name) for name in os.listdir(root) if name.isdigit()):  # noqa: PTH208
        data = procfs.read(f"{root}/{pid}/stat", procfs.SMALL_LIMIT, source.counts)
        if data is None:
            continue
        stat = procfs.parse_stat(data)
        if stat is None:
            source.counts.failed += 1
            continue
        kernel = bool(stat.flags & procfs.PF_KTHREAD)
        age_ns = max(0, time_ns - stat.start_ticks * NS_PER_TICK)
        process = found[pid] = Process(
            pid, stat.start_ticks, stat.ppid, stat.comm, stat.threads, kernel, source,
            stat.virtual_bytes, time_ns + min(age_ns, FACTS_NS), stat.session,
        )  # fmt: skip
        known = before.get(pid) if before is not None and pid not in ran else None
        if known is not None:
            _take_over(process, known, time_ns)
    return ProcessTable(time_ns, found, source)


def _take_over(process: Process, known: Process, time_ns: int) -> None:
    """Give a process what was read of it before, while that is believed."""
    same = known.identity == process.identity and known.comm == process.comm
    if not same or time_ns >= known.fresh_until_ns:
        return
    # Into the instance, where cached_property looks; the fields of a frozen class stay frozen.
    kept = {name: known.__dict__[name] for name in _CARRIED if name in known.__dict__}
    process.__dict__.update(kept, fresh_until_ns=known.fresh_until_ns)
