"""One process, held by a descriptor of its /proc directory: no later process can take its place.

Names below it are fixed or numbers the kernel gave; links are not followed, but for the
kernel's own, which lead to the very file. Only regular files are opened behind these.
"""

import os
from collections.abc import Callable
from typing import Final, Self

from agent.response.containment import ProcessId
from collectors.procfs import open_regular

_START_FIELD: Final = 19  # of /proc/PID/stat, counted from the state
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CHUNK: Final = 1 << 20


class OpenedProcess:
    """Reads of one living, stopped or dying process; what it no longer has is empty."""

    def __init__(self, process: ProcessId, fd: int) -> None:
        self.id = process
        self._fd = fd

    @classmethod
    def open(cls, process: ProcessId) -> Self | None:
        """Hold that very process; None if it is gone, also if its number has a new owner."""
        try:
            fd = os.open(f"/proc/{process.pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return None
        opened = cls(process, fd)
        content, _ = opened.read("stat", 4096)
        # The command between the parentheses may hold anything, closing parentheses included.
        fields = content.rpartition(b")")[2].split()
        if len(fields) > _START_FIELD and int(fields[_START_FIELD]) == process.start_ticks:
            return opened
        os.close(fd)
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def read(self, name: str, limit: int) -> tuple[bytes, bool]:
        """Return a text of at most `limit` bytes, and whether that is all of it."""
        try:
            fd = os.open(name, _FLAGS, dir_fd=self._fd)
        except OSError:
            return b"", True
        try:
            return read_whole(fd, limit)
        finally:
            os.close(fd)

    def names(self, directory: str) -> list[str]:
        """Return the entries of a directory, numbers in order; none if it is gone."""
        try:
            fd = os.open(directory, _FLAGS | os.O_DIRECTORY, dir_fd=self._fd)
        except OSError:
            return []
        try:
            found = os.listdir(fd)  # noqa: PTH208 - a Path has no descriptor
        except OSError:
            return []
        finally:
            os.close(fd)
        return sorted(found, key=lambda name: (len(name), name))

    def target(self, link: str) -> str:
        """Return what the kernel says a link leads to; "" if it is gone."""
        try:
            return os.readlink(link, dir_fd=self._fd)
        except OSError:
            return ""

    def memory(self, start: int, limit: int, alive: Callable[[], None]) -> bytes:
        """Return at most `limit` bytes of its memory from there; less where a page has no reader.

        By /proc/PID/mem: the process need not run, and is not touched.
        """
        try:
            fd = os.open("mem", _FLAGS, dir_fd=self._fd)
        except OSError:
            return b""
        content = bytearray()
        try:
            while len(content) < limit:
                chunk = os.pread(fd, min(_CHUNK, limit - len(content)), start + len(content))
                if not chunk:
                    break
                content += chunk
                alive()
        except (OSError, OverflowError):
            return bytes(content)  # a guard page, or the process is gone
        finally:
            os.close(fd)
        return bytes(content)

    def regular(self, link: str) -> int | None:
        """Return a descriptor of the regular file behind one of the kernel's links; else None."""
        try:
            return open_regular(link, self._fd)
        except OSError:
            return None


def read_whole(fd: int, limit: int) -> tuple[bytes, bool]:
    """Return at most `limit` bytes from the beginning, and whether that is all of them.

    What ends in the middle, as the texts of a dying process do, is all there is.
    """
    chunks: list[bytes] = []
    left = limit
    try:
        while left > 0 and (chunk := os.read(fd, min(left, _CHUNK))):
            chunks.append(chunk)
            left -= len(chunk)
        whole = left > 0 or not os.read(fd, 1)
    except OSError:
        whole = False
    return b"".join(chunks), whole
