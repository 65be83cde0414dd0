"""Model files that workloads open, write and map, on their way into the ledger."""

import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from agent.log import log
from agent.models.ledger import Access, Ledger, sight
from collectors.models.artifacts import is_artifact
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
    "linked-to": "link",
    "symlinked": "link",
}
"""By mark, what changes of a name do to the file; of the others, the ledger keeps "change"."""

_MINOR_BITS: Final = 20  # of a device number inside the kernel, include/linux/kdev_t.h


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

    def see(self, sightings: Iterable[Sighting], workload: str) -> None:
        """Take in what a workload just did; only model files are kept."""
        for sighting in sightings:
            if sighting.kind not in _ACCESS or not is_artifact(sighting.item):
                continue
            self.came += 1
            if not self._room.acquire(blocking=False):
                self.reasons["no_room"] += 1
                continue
            self._worker.submit(self._note, sighting, workload)

    def _note(self, sighting: Sighting, workload: str) -> None:
        device, inode = sighting.inode
        outside = sighting.kind == "stranger"
        device = os.makedev(device >> _MINOR_BITS, device & ((1 << _MINOR_BITS) - 1))
        if not inode and not sighting.host_path:
            device, inode, _ = sight(sighting.item)  # a path alone tells no inode
        try:
            if self._ledger is None:
                self._ledger = Ledger.open(self._path)
            self._ledger.note(
                path=sighting.item,
                access=_access(sighting),
                time_ns=sighting.time_ns + self._offset_ns,
                workload="" if outside else workload,
                pid=sighting.pid,
                exe=sighting.exe,
                device=device,
                inode=inode,
            )
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
