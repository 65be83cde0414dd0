"""Writes a recording from the daemon's loop, which never waits for the disk."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.recording import frames
from agent.recording.errors import RecordingPathError

MOST_WAITING: Final = 4_096
"""Records between the loop and the disk: a window has a few, so this is minutes of a slow disk."""

FLUSH_S: Final = 0.5
FLUSH_RECORDS: Final = 64

Make = Callable[[], list[Any]]
"""Makes a record's plain values, in the writer's thread: what it reads must not change any more."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a recording.

    Attributes:
        lost: Records that found no room, or that the disk refused.
        failure: Why the disk refused; empty if it did not.
    """

    path: Path
    records: int
    lost: int
    size_bytes: int
    failure: str

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "file": str(self.path),
            "records": self.records,
            "lost": self.lost,
            "bytes": self.size_bytes,
            "failure": self.failure,
        }


class Recorder:
    """One recording under way. `offer` is for one thread, and returns at once.

    Args:
        path: A file that does not exist yet: nothing is ever overwritten or followed.
        most_waiting: Records kept for the writer.

    Raises:
        RecordingPathError: The file cannot be made.
    """

    def __init__(self, path: Path, most_waiting: int = MOST_WAITING) -> None:
        """Make the file and start the writer."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._file = os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0)
        except OSError as error:
            raise RecordingPathError(path, error.strerror) from error
        self.path = path
        self.lost = 0
        self._records = 0
        self._size = 0
        self._failure = ""
        self._told_lost = 0
        self._waiting: queue.Queue[Make] = queue.Queue(most_waiting)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()

    def offer(self, make: Make) -> None:
        """Have `make` called and written soon; counted as lost if the writer is that far behind."""
        try:
            self._waiting.put_nowait(make)
        except queue.Full:
            self.lost += 1

    def end(self) -> None:
        """Have what waits and the end written. Returns at once; nothing may be offered after."""
        self._ending.set()

    def wait(self) -> Written:
        """Return what became of it, once all is written; `end` comes first."""
        self._thread.join()
        return Written(self.path, self._records, self.lost, self._size, self._failure)

    def _write(self) -> None:
        with self._file:
            self._put(frames.head())
            running = True
            while running:
                batch, running = self._gather()
                if self.lost > self._told_lost:
                    batch.append(["lost", self.lost - self._told_lost])
                    self._told_lost = self.lost
                if not running:
                    batch.append([frames.END, {"records": self._records + len(batch) + 1}])
                if batch and self._put(frames.frame(batch)):
                    self._records += len(batch)
                elif batch:
                    self.lost += len(batch)

    def _gather(self) -> tuple[list[list[Any]], bool]:
        """Wait for records worth a frame, and tell whether more may come."""
        batch: list[list[Any]] = []
        ending = self._ending.is_set()  # first: then an empty queue stays empty
        deadline = time.monotonic() + (0.0 if ending else FLUSH_S)
        while len(batch) < FLUSH_RECORDS:
            try:
                make = self._waiting.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return batch, not ending
            batch.append(make())
        return batch, True

    def _put(self, data: bytes) -> bool:
        """Write whole, or not at all from the first failure on: a hole would read as damage."""
        if self._failure:
            return False
        try:
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self._failure = error.strerror or str(error)
            return False
        self._size += len(data)
        return True
