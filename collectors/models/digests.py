"""Digests of large files: read once, in large pieces, and kept as long as the file is the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

_PIECE: Final = 256 << 10  # stays in a core's cache from read to hash; pieces of 4 MiB were slower


class FileState(NamedTuple):
    """Everything about a file that changes when its content does, bar an attacker with raw disk."""

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> FileState:
        """Return the state of a stat."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class ChangedError(Exception):
    """The file changed while it was read."""


def digest(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """Return the SHA-256 of a file; `progress` is told how many bytes each piece had."""
    return read_digest(path, progress)[0]


def read_digest(path: Path, progress: Callable[[int], None] | None = None) -> tuple[str, FileState]:
    """Return the SHA-256 of a file, and the state in which all of it was read.

    Raises:
        OSError: It cannot be read.
        ChangedError: It changed meanwhile.
    """
    found = hashlib.sha256()
    buffer = memoryview(bytearray(_PIECE))
    with path.open("rb", buffering=0) as stream:
        before = FileState.of(os.fstat(stream.fileno()))
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        # The hash gives up the interpreter's lock for pieces this size: files go in parallel.
        while size := stream.readinto(buffer):
            found.update(buffer[:size])
            if progress is not None:
                progress(size)
        if FileState.of(os.fstat(stream.fileno())) != before:
            raise ChangedError(str(path))
    return found.hexdigest(), before


@dataclass(slots=True)
class DigestCache:
    """Digests by file state; what is not the same file in the same state is read anew."""

    known: dict[FileState, str] = field(default_factory=dict)

    def digest(self, path: Path, progress: Callable[[int], None] | None = None) -> str:
        """Return the SHA-256 of a file.

        Raises:
            OSError: It cannot be read.
            ChangedError: It changed meanwhile.
        """
        state = FileState.of(path.stat())
        if state in self.known:
            if progress is not None:
                progress(state.size_bytes)
            return self.known[state]
        found, read = read_digest(path, progress)
        self.known[read] = found
        return found
