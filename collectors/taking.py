"""How much of a file a process has read so far, by its own descriptors and mappings.

What moved a descriptor's place: read, sendfile, splice and copies within the kernel; and the pages
of a mapping that are there. Not what pread or a ring read, which leave no trace in /proc.
Source: proc(5), fdinfo and smaps.
"""

import os
import re
from typing import Final, NamedTuple

from collectors import procfs
from collectors.procfs import ReadCounts

_HEAD: Final = re.compile(rb"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ ([0-9a-f]+):([0-9a-f]+) (\d+)")
_PRESENT: Final = b"Rss:"
_PLACE: Final = b"pos:"


class Taken(NamedTuple):
    """Bytes of one file."""

    read: int
    size: int


def taken(pid: int, file: tuple[int, int]) -> Taken | None:
    """How far a process is with a file; None once it has it neither open nor mapped.

    Args:
        pid: Whose.
        file: Device, as `os.stat` numbers it, and inode.
    """
    found: Taken | None = None
    for fd in _names(f"/proc/{pid}/fd"):
        try:
            there = os.stat(f"/proc/{pid}/fd/{fd}")  # noqa: PTH116 (the link leads to the inode)
        except OSError:
            continue  # closed meanwhile, or the process is gone
        if (there.st_dev, there.st_ino) == file:
            place = _place(f"/proc/{pid}/fdinfo/{fd}")
            found = Taken(max(place, found.read if found else 0), there.st_size)
    present, size = _mapped(pid, file)
    if found is None:
        return Taken(present, size) if size else None
    return Taken(max(found.read, present), found.size)


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208 (hot)
    except OSError:
        return []


def _place(path: str) -> int:
    for line in (procfs.read(path, procfs.SMALL_LIMIT, ReadCounts()) or b"").splitlines():
        if line.startswith(_PLACE):
            return int(line.removeprefix(_PLACE))
    return 0


def _mapped(pid: int, file: tuple[int, int]) -> tuple[int, int]:
    """Bytes of the file's mappings that are in memory, and of all of them."""
    present = size = 0
    mine = False
    data = procfs.read(f"/proc/{pid}/smaps", procfs.MAPS_LIMIT, ReadCounts()) or b""
    for line in data.splitlines():
        if head := _HEAD.match(line):
            major, minor = int(head[1], 16), int(head[2], 16)
            mine = (os.makedev(major, minor), int(head[3])) == file
        elif mine and line.startswith(_PRESENT):
            present += int(line.split()[1]) << 10
        elif mine and line.startswith(b"Size:"):
            size += int(line.split()[1]) << 10
    return present, size
