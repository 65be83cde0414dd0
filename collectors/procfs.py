"""Bounded reads of `/proc`, and the small text formats found there.

A process that exits while it is being read is normal: such a read gives None and is counted, never
raised. Formats are those of proc(5).
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from dataclasses import dataclass, field
from typing import NamedTuple

PF_KTHREAD = 0x0020_0000
TCP_LISTEN = "0A"

# A vLLM engine maps some thousands of files at ~130 bytes a line; 16 MiB is a hundred times that.
MAPS_LIMIT = 16 << 20
# The kernel gives at most the argument area, which execve bounds at 6 MiB; titles and flags lie in
# the first part.
CMDLINE_LIMIT = 128 << 10
SMALL_LIMIT = 64 << 10
TABLE_LIMIT = 16 << 20
FDS_LIMIT = 65_536
_CHUNK = 64 << 10


@dataclass(slots=True)
class ReadCounts:
    """What reading `/proc` could not give.

    A reading with refusals is incomplete and must say so.
    """

    vanished: int = 0  # the process was gone: normal
    refused: int = 0  # no permission
    truncated: int = 0  # longer than the bound; the rest was not read
    failed: int = 0  # any other error, or a format we do not know

    def note(self, error: OSError) -> None:
        """Count one failed read under its reason."""
        if error.errno in {errno.ENOENT, errno.ESRCH, errno.ENOTDIR}:
            self.vanished += 1
        elif error.errno in {errno.EACCES, errno.EPERM}:
            self.refused += 1
        else:
            self.failed += 1


def read(path: str, limit: int, counts: ReadCounts) -> bytes | None:
    """Return up to `limit` bytes of a file, or None (counted) when it cannot be read."""
    try:
        # Not blocking: a name under /proc may lead to a pipe.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        counts.note(error)
        return None
    parts: list[bytes] = []
    left = limit
    try:
        while left > 0 and (part := os.read(fd, min(left, _CHUNK))):
            parts.append(part)
            left -= len(part)
        if left == 0 and os.read(fd, 1):
            counts.truncated += 1
    except OSError as error:
        counts.note(error)
        return None
    finally:
        os.close(fd)
    return b"".join(parts)


def open_regular(path: str, directory: int | None = None) -> int | None:
    """Return a descriptor of what a watched process named, if it is a regular file.

    First as a mere place (O_PATH), which opens nothing: a device or pipe would feel an open.

    Args:
        path: Relative to `directory`, a descriptor, if that is given.
        directory: Or None.

    Raises:
        OSError: It is not there, or may not be opened.
    """
    place = os.open(path, os.O_PATH | os.O_CLOEXEC, dir_fd=directory)
    try:
        if not stat.S_ISREG(os.fstat(place).st_mode):
            return None
        return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    finally:
        os.close(place)


def read_regular(path: str, limit: int, counts: ReadCounts) -> bytes | None:
    """Return up to `limit` bytes of such a file; None (counted) when it cannot be read."""
    try:
        file = open_regular(path)
        if file is None:
            return None
        with os.fdopen(file, "rb") as opened:
            return opened.read(limit)
    except OSError as error:
        counts.note(error)
        return None


def read_link(path: str, counts: ReadCounts) -> str | None:
    """Return the target of a link, or None (counted)."""
    try:
        return os.readlink(path)  # noqa: PTH115 (text in, text out, on the hot path)
    except OSError as error:
        counts.note(error)
        return None


def text(data: bytes) -> str:
    """Decode what a process chose to be called.

    Bytes outside UTF-8 survive as surrogates, as file names do.
    """
    return data.decode("utf-8", "surrogateescape")


class Stat(NamedTuple):
    """The fields of `/proc/PID/stat` that are used here.

    Times are in clock ticks, resident memory in pages, virtual memory in bytes.
    """

    comm: str
    ppid: int
    session: int
    flags: int
    minor_faults: int
    major_faults: int
    cpu_ticks: int
    threads: int
    start_ticks: int
    virtual_bytes: int
    resident_pages: int


def parse_stat(data: bytes) -> Stat | None:
    """Return the fields of a stat line, or None when it is not one.

    The name may itself hold spaces and brackets.
    """
    opening, closing = data.find(b"("), data.rfind(b")")
    fields = data[closing + 1 :].split()
    if opening < 0 or closing < opening or len(fields) < 22:  # noqa: PLR2004 (rss is 22nd)
        return None
    try:
        return Stat(
            comm=text(data[opening + 1 : closing]),
            ppid=int(fields[1]),
            session=int(fields[3]),
            flags=int(fields[6]),
            minor_faults=int(fields[7]),
            major_faults=int(fields[9]),
            cpu_ticks=int(fields[11]) + int(fields[12]),
            threads=int(fields[17]),
            start_ticks=int(fields[19]),
            virtual_bytes=int(fields[20]),
            resident_pages=int(fields[21]),
        )
    except ValueError:
        return None


class MappedFile(NamedTuple):
    """One file that a process has mapped: all its mappings together."""

    path: str
    device: str  # "major:minor" in hexadecimal, as /proc writes it
    inode: int
    size_bytes: int  # sum of the mapped ranges
    executable: bool
    deleted: bool

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


def parse_maps(data: bytes) -> tuple[MappedFile, ...]:
    """Return the files in a `/proc/PID/maps`, in the order of their first mapping.

    Anonymous memory is left out.
    """
    found: dict[tuple[str, str, int], MappedFile] = {}
    for line in data.splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) < 6 or fields[4] == b"0":  # noqa: PLR2004 (range perms offset device inode path)
            continue
        low, _, high = fields[0].partition(b"-")
        path = text(fields[5])
        deleted = path.endswith(" (deleted)")
        key = (path, text(fields[3]), int(fields[4]))
        known = found.get(key)
        found[key] = MappedFile(
            path.removesuffix(" (deleted)"),
            key[1],
            key[2],
            int(high, 16) - int(low, 16) + (known.size_bytes if known else 0),
            b"x" in fields[1] or (known.executable if known else False),
            deleted,
        )
    return tuple(found.values())


class Listener(NamedTuple):
    """One listening TCP socket."""

    protocol: str  # "tcp" or "tcp6"
    address: str
    port: int

    @property
    def wildcard(self) -> bool:
        """Whether it accepts on every address of its network namespace."""
        return self.address in {"0.0.0.0", "::"}  # noqa: S104 (recognised, not bound)


def parse_listeners(data: bytes, protocol: str) -> dict[int, Listener]:
    """Return the listening sockets of a `/proc/net/tcp` or `tcp6`, by socket inode."""
    found: dict[int, Listener] = {}
    for line in data.decode("ascii", "replace").splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] != TCP_LISTEN:  # noqa: PLR2004 (the inode is the 10th field)
            continue
        address, _, port = fields[1].partition(":")
        found[int(fields[9])] = Listener(protocol, _address(address), int(port, 16))
    return found


def _address(digits: str) -> str:
    """Turn the kernel's 32-bit words, in the host's byte order, into a written address."""
    raw = bytes.fromhex(digits)
    words = [raw[i : i + 4] for i in range(0, len(raw), 4)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    packed = b"".join(words)
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, packed)


class OpenFile(NamedTuple):
    """One open descriptor and what it leads to: "/path", "socket:[7]", "pipe:[8]"."""

    fd: int
    target: str


@dataclass(slots=True)
class Source:
    """Where one snapshot reads from, and what it could not read."""

    root: str = "/proc"
    counts: ReadCounts = field(default_factory=ReadCounts)
    _listeners: dict[str, dict[int, Listener]] = field(default_factory=dict)

    def listeners(self, pid: int, namespace: str) -> dict[int, Listener]:
        """Return the listening sockets of a network namespace by inode, read once."""
        known = self._listeners.get(namespace)
        if known is None:
            known = self._listeners[namespace] = {}
            for protocol in ("tcp", "tcp6"):
                path = f"{self.root}/{pid}/net/{protocol}"
                known |= parse_listeners(read(path, TABLE_LIMIT, self.counts) or b"", protocol)
        return known
