"""Model files that workloads open, write and map, on their way into the ledger."""

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from agent.log import log
from agent.models.ledger import Access, Ledger, sight
from collectors.models.artifacts import Held, held, inside, is_artifact
from collectors.models.digests import FileState
from collectors.numbers import to_stat
from collectors.processes import Process
from collectors.sightings import Sighting
from detectors.changes import change_of

MOST_WAITING: Final = 1_000
"""Uses between the loop and the disk; a server that loads opens some tens of artifacts."""

_ACCESS: Final[dict[str, Access]] = {
    "file": "read",
    "write": "write",
    "library": "map",
    "model": "map",
    "stranger": "read",
}
_CHANGES: Final[dict[str, Access]] = {
    "renamed-from": "rename-from",
    "renamed-to": "rename-to",
    "removed": "remove",
    "truncated-to": "truncate",
    "emptied": "truncate",
    "linked-to": "link",
    "symlinked": "link",
}
"""By mark, what changes of a name do to the file; of the others, the ledger keeps "change"."""


class Artifacts:
    """Notes uses in a thread of its own: the loop never waits for the disk.

    Attributes:
        came: Uses of model files taken in.
        noted: Those that are in the ledger.
        reasons: Those that are not, by why.
    """

    def __init__(self, path: Path, offset_ns: int) -> None:
        """Open nothing yet; the thread does at the first use."""
        self.came = self.noted = 0
        self.reasons: Counter[str] = Counter()
        self._path = path
        self._offset_ns = offset_ns  # CLOCK_REALTIME minus CLOCK_MONOTONIC
        self._ledger: Ledger | None = None
        self._room = threading.BoundedSemaphore(MOST_WAITING)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="ledger")

    def see(self, sightings: Iterable[Sighting], workload: str, exe: Callable[[int], str]) -> None:
        """Take in what a workload just did; only model files are kept. `exe` names programs."""
        for sighting in sightings:
            if sighting.kind in _ACCESS and is_artifact(sighting.item):
                program = sighting.exe or exe(sighting.pid)
                self._take(partial(self._seen, sighting, workload, program))

    def adopt(self, processes: Iterable[Process], workload: str) -> None:
        """Take in what processes hold that ran before us; when they opened it, nobody knows."""
        now_ns = time.time_ns()
        for process in processes:
            for one in held(process):
                self._take(partial(self._held, process, one, workload, now_ns))

    def digested(self, state: FileState, sha256: str) -> None:
        """Take in the digest of a file that was read in this state."""
        self._take(partial(self._read, state, sha256))

    def _take(self, note: Callable[[Ledger], None]) -> None:
        self.came += 1
        if self._room.acquire(blocking=False):
            self._worker.submit(self._write, note)
        else:
            self.reasons["no_room"] += 1

    def _seen(self, sighting: Sighting, workload: str, exe: str, ledger: Ledger) -> None:
        device, inode = sighting.inode
        device = to_stat(device)
        # As its process names it, so that a container's file is not taken for one of ours.
        there = sight(f"/proc/{sighting.pid}/root{sighting.item}")
        if not inode and not sighting.host_path:
            device, inode, _ = sight(sighting.item)  # a path alone tells no inode
        ledger.note(
            path=sighting.item,
            access=_access(sighting),
            time_ns=sighting.time_ns + self._offset_ns,
            workload="" if sighting.kind == "stranger" else workload,
            pid=sighting.pid,
            exe=exe,
            device=device,
            inode=inode,
            size_bytes=there[2] if there[:2] == (device, inode) else sighting.size,
        )

    @staticmethod
    def _held(process: Process, one: Held, workload: str, now_ns: int, ledger: Ledger) -> None:
        device, inode, size = sight(str(inside(process, one.path)))
        ledger.note(
            path=one.path,
            access="map" if one.how == "mapped" else "read",
            time_ns=now_ns,
            workload=workload,
            pid=process.pid,
            exe=process.exe,
            device=device,
            inode=inode,
            size_bytes=size,
        )

    @staticmethod
    def _read(state: FileState, sha256: str, ledger: Ledger) -> None:
        ledger.digested(state.device, state.inode, state.size_bytes, sha256)

    def _write(self, note: Callable[[Ledger], None]) -> None:
        try:
            if self._ledger is None:
                self._ledger = Ledger.open(self._path)
            note(self._ledger)
        except (sqlite3.Error, OSError) as error:
            self.reasons["not_written"] += 1
            log.once("ledger.failed", path=self._path, why=error)
        else:
            self.noted += 1
        finally:
            self._room.release()

    @property
    def pending(self) -> int:
        """Uses on their way to the disk."""
        return self.came - self.noted - self.reasons.total()

    def close(self) -> None:
        """Write what waits, then let the file go."""
        self._worker.submit(self._end)  # SQLite wants to be closed where it was opened
        self._worker.shutdown(wait=True)

    def _end(self) -> None:
        if self._ledger is not None:
            self._ledger.close()


def _access(sighting: Sighting) -> Access:
    if sighting.kind == "stranger" and "written" in sighting.marks:
        return "write"
    change = change_of(sighting.marks)
    return _CHANGES.get(change, "change") if change else _ACCESS[sighting.kind]
