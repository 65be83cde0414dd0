"""What no call tells: a program whose file is gone, arguments overwritten, what was held before."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.daemon.classes import is_gpu
from collectors.sightings import Sighting
from detectors.names import disguise

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from collectors.processes import Process, ProcessTable
    from collectors.procfs import OpenFile

IMAGE: Final = "image"
LIBRARY: Final = "library"
WRITE: Final = "write"
"""Kinds of these sightings."""

_MEMFD: Final = "/memfd:"


@dataclass(slots=True)
class Images:
    """Compares at scans; tells each finding once in a process's life."""

    _told: set[tuple[int, int, str]] = field(default_factory=set)

    def look(
        self,
        table: ProcessTable,
        pids: Collection[int],
        member: Callable[[int], tuple[int, int]],
        now_ns: int,
    ) -> list[Sighting]:
        """Return what is new among these processes.

        Args:
            table: Of a moment ago; who has ended since is left out.
            pids: Of one workload.
            member: Workload and role of a process, by the kernel's numbers.
            now_ns: CLOCK_MONOTONIC.
        """
        found = []
        self._told = {what for what in self._told if what[0] in pids}
        for process in filter(None, map(table.get, sorted(pids))):
            for mark in _findings(process):
                what = (process.pid, process.start_ticks, mark)
                if what not in self._told:
                    self._told.add(what)
                    belongs = member(process.pid)
                    found.append(_sighting(process, (IMAGE, process.exe, mark), belongs, now_ns))
        return found


def held_before(
    processes: Iterable[Process], member: Callable[[int], tuple[int, int]], now_ns: int
) -> list[Sighting]:
    """Return what processes had when learning began, and nobody saw them get.

    Code and GPUs: a server that ran before the agent loads them again when it forks a worker anew,
    or restarts. Files open for writing: a log is opened once, and opened again when it is rotated.

    Args:
        processes: Of one workload.
        member: Workload and role of a process, by the kernel's numbers.
        now_ns: CLOCK_MONOTONIC.
    """
    found = []
    for process in processes:
        belongs = member(process.pid)
        for file in process.libraries:
            mark = "memfd" if file.path.startswith(_MEMFD) else "deleted" if file.deleted else ""
            found.append(_sighting(process, (LIBRARY, file.path, mark), belongs, now_ns))
        written = {file.target for file in process.open_files if _is_written(process, file)}
        found += [_sighting(process, (WRITE, one, ""), belongs, now_ns) for one in sorted(written)]
    return found


def _is_written(process: Process, file: OpenFile) -> bool:
    if is_gpu(file.target):
        return True
    link = f"/proc/{process.pid}/fd/{file.fd}"
    try:
        # The link has the rights that the file was opened with: proc_pid_fd(5).
        writable = os.lstat(link).st_mode & stat.S_IWUSR
        status = os.stat(link)  # noqa: PTH116
        return bool(writable) and stat.S_ISREG(status.st_mode) and status.st_nlink > 0
    except OSError:  # closed meanwhile
        return False


def _findings(process: Process) -> Iterator[str]:
    if process.exe_deleted and not process.exe.startswith(_MEMFD):
        # In its own mount namespace: what lies at that path here may be another program.
        there = Path(f"/proc/{process.pid}/root{process.exe}").exists()
        yield "replaced" if there else "unlinked"
    if process.cmdline and disguise(process.cmdline[0], ""):
        yield "overwritten"


def _sighting(
    process: Process, what: tuple[str, str, str], member: tuple[int, int], now_ns: int
) -> Sighting:
    kind, item, mark = what
    return Sighting(
        kind=kind,
        item=item,
        workload=member[0],
        role=member[1],
        time_ns=now_ns,
        pid=process.pid,
        ppid=process.ppid,
        uid=process.uid or 0,
        start_ns=process.start_time_ns,
        cgroup=0,
        comm=process.comm,
        marks=frozenset({mark} - {""}),
        arguments=tuple(process.cmdline) if kind == IMAGE else (),
    )
