"""The journal of containments: what is about to be done, on disk before it is done.

The file is filled with NUL bytes from the start, so that writing inside
it takes no new block: a full disk stops nothing. A spare of the same size lies
ready for compaction, which writes the live containments there and renames it.
(On a copy-on-write file system a full disk may refuse even that.)
"""

import fcntl
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from agent.errors import AgentError, NotReadyError
from agent.response.journal_format import decode, encode

RESERVED_BYTES: Final = 1 << 20
"""Per file: a containment of 1,000 processes takes about 40 kB in all."""

COMPACT_FROM: Final = 0.75
"""Fill at which only live and recent containments are carried on."""

READ_BYTES: Final = 1 << 16

LOCK_WAIT_S: Final = 10.0
"""Longer than any holder takes: the slowest step waits 6 s for a tree to stop."""

LOCK_POLL_S: Final = 0.005


class JournalError(AgentError):
    """The containment journal {0} cannot be written: {1}. What is not recorded is not done."""

    exit_code = 2


class Journal:
    """The journal in one state directory, shared by daemon and command line through a lock file.

    Every method but `locked` wants the lock to be held.

    Args:
        state: The state directory; made if it is not there.
        reserved_bytes: Size of the journal and of its spare.

    Attributes:
        lost_lines: Lines of those that could not be read.
        torn: Incomplete last lines dropped.
    """

    def __init__(self, state: Path, reserved_bytes: int = RESERVED_BYTES) -> None:
        """Touch nothing yet."""
        self._state = state
        self._path = state / "journal"
        self._spare = state / "journal.spare"
        self._reserved_bytes = reserved_bytes
        self._fd = -1
        self._inode = 0
        self._end = 0
        self.lost_lines = 0
        self.torn = 0

    @contextmanager
    def locked(self, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
        """Hold the journal against every other process and thread.

        Raises:
            NotReadyError: Somebody else has held it for `wait_s`.
            JournalError: The state directory cannot be written.
        """
        try:
            self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(
                self._state / "journal.lock",
                os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW,
                0o600,
            )
        except OSError as error:
            raise JournalError(self._path, error.strerror) from error
        try:
            self._wait(fd, wait_s)
            yield
        finally:
            os.close(fd)

    def _wait(self, fd: int, wait_s: float) -> None:
        give_up = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise NotReadyError(
                        "the containment journal", "somebody else is writing it"
                    ) from None
                time.sleep(LOCK_POLL_S)
            else:
                return

    def read(self) -> tuple[dict[str, Any], ...]:
        """Return all records, oldest first.

        A corrupt journal is set aside under a name that tells when, and a new
        one carries on with the records whose checksum is right.

        Raises:
            JournalError: It cannot be opened or made.
        """
        self._inode = 0
        return self.news()[0]

    def news(self) -> tuple[tuple[dict[str, Any], ...], bool]:
        """Return the records since the last look, and whether they are all there are.

        They are where somebody else has compacted the journal or set it aside, and
        at the first look. Raises JournalError as `read` does.
        """
        try:
            whole = self._open()
            start = 0 if whole else self._end
            reading = decode(_content(self._fd, start))
            if reading.bad_lines and not whole:
                return self.read(), True
            self._end = start + reading.end
            if reading.torn:
                self.torn += 1
                self._erase(self._end)
            if reading.bad_lines:
                self.lost_lines += reading.bad_lines
                self.set_aside_for(reading.records)
        except OSError as error:
            raise JournalError(self._path, error.strerror) from error
        return reading.records, whole

    def append(self, record: Mapping[str, Any], *, durable: bool) -> None:
        """Write one record behind the last.

        Args:
            record: JSON values.
            durable: Wait for the disk. Without it the record outlives this process, not a power
                cut; and a power cut undoes by itself whatever was done to processes.

        Raises:
            JournalError: It cannot be written, or is full.
        """
        line = encode(record)
        if self._end + len(line) > self._reserved_bytes:
            raise JournalError(self._path, "it is full")
        try:
            _write(self._fd, line, self._end)
            if durable:
                os.fdatasync(self._fd)
        except OSError as error:
            raise JournalError(self._path, error.strerror) from error
        self._end += len(line)

    def changed(self) -> bool:
        """Return whether anybody else wrote since the last `read` here; needs no lock."""
        try:
            return self._path.stat().st_ino != self._inode or os.pread(
                self._fd, 1, self._end
            ) not in {b"", b"\0"}
        except OSError:
            return True

    @property
    def set_aside(self) -> tuple[Path, ...]:
        """Corrupt journals kept under another name, oldest first, until somebody removes them."""
        return tuple(sorted(self._state.glob("journal.corrupt-*")))

    @property
    def crowded(self) -> bool:
        """Whether it is time for `compact`."""
        return self._end > COMPACT_FROM * self._reserved_bytes

    def compact(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Replace the journal by `records`, at once or not at all; raises JournalError."""
        content = b"".join(encode(record) for record in records)
        if len(content) > self._reserved_bytes:
            raise JournalError(self._path, "what is live does not fit")
        try:
            fd = self._reserve(self._spare)
            try:
                _write(fd, content.ljust(self._reserved_bytes, b"\0"), 0)
                os.fsync(fd)
            finally:
                os.close(fd)
            self._spare.replace(self._path)
            self._open()
        except OSError as error:
            raise JournalError(self._path, error.strerror) from error
        self._end = len(content)

    def _open(self) -> bool:
        """Open what is called the journal now; returns whether it is another file than before."""
        try:
            named = self._path.stat().st_ino
        except FileNotFoundError:
            named = 0
        if self._fd >= 0 and named == self._inode:
            return False
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._fd = self._reserve(self._path)
        self._inode = os.fstat(self._fd).st_ino
        try:
            os.close(self._reserve(self._spare))
        except OSError:
            # No room for the spare now: `compact` tries again, and says so if it must fail.
            self._spare.unlink(missing_ok=True)
        _sync_directory(self._state)
        return True

    def _reserve(self, path: Path) -> int:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        missing = self._reserved_bytes - os.fstat(fd).st_size
        if missing > 0:
            try:
                _write(fd, bytes(missing), self._reserved_bytes - missing)
                os.fsync(fd)
            except OSError:
                os.close(fd)
                raise
        return fd

    def _erase(self, start: int) -> None:
        _write(self._fd, bytes(self._reserved_bytes - start), start)
        os.fdatasync(self._fd)

    def set_aside_for(self, good: Iterable[Mapping[str, Any]]) -> None:
        """Keep the corrupt journal by another name, carry on with `good`; raises JournalError."""
        aside = (
            self._state
            / f"journal.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{self._inode}"
        )
        try:
            os.link(self._path, aside)
        except OSError as error:
            raise JournalError(self._path, error.strerror) from error
        self.compact(good)


def _content(fd: int, start: int) -> bytes:
    """Read from `start` up to the NUL bytes that nobody wrote over yet."""
    chunks: list[bytes] = []
    while not chunks or not chunks[-1].endswith(b"\0"):
        chunk = os.pread(fd, READ_BYTES, start + READ_BYTES * len(chunks))
        if not chunk:
            break
        chunks.append(chunk)
    return b"".join(chunks)


def _write(fd: int, content: bytes, offset: int) -> None:
    """Write all of `content`: a short write, as at a quota, goes on until the error shows."""
    view = memoryview(content)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
