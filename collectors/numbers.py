"""A file as the kernel numbers it, which is not always what stat(2) tells.

On overlayfs, btrfs and others stat answers with made-up devices and inodes; programs in the kernel
see the inode's own. /proc/PID/fdinfo has that (`ino:`, Linux 5.14) and the mount, and mountinfo the
device of the mount's filesystem.
"""

import os
from collections.abc import Mapping
from typing import Final

from collectors.procfs import SMALL_LIMIT, TABLE_LIMIT, ReadCounts, read

Number = tuple[int, int]
"""Device, as the kernel numbers it inside, and inode."""

_MINOR_BITS: Final = 20  # include/linux/kdev_t.h


def to_stat(device: int) -> int:
    """Return a device, as the kernel numbers it inside, in the numbers of `os.stat`."""
    return os.makedev(device >> _MINOR_BITS, device & ((1 << _MINOR_BITS) - 1))


def mount_devices(pid: int, counts: ReadCounts, proc: str = "/proc") -> dict[int, int]:
    """Return the device of every mount that a process sees, by the mount's number."""
    raw = read(f"{proc}/{pid}/mountinfo", TABLE_LIMIT, counts) or b""
    found = {}
    for line in raw.splitlines():
        number, _, device, *_ = line.split(b" ", 3)
        major, _, minor = device.partition(b":")
        found[int(number)] = int(major) << _MINOR_BITS | int(minor)
    return found


def number_of(path: str, devices: Mapping[int, int], counts: ReadCounts) -> Number | None:
    """Return how the kernel numbers this file; None if it is not there, or cannot be said."""
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        raw = read(f"/proc/self/fdinfo/{fd}", SMALL_LIMIT, counts) or b""
        told = dict(line.split(b":", 1) for line in raw.splitlines() if b":" in line)
        inode = int(told[b"ino"]) if b"ino" in told else os.fstat(fd).st_ino
        device = devices.get(int(told.get(b"mnt_id", b"-1")))
    finally:
        os.close(fd)
    return None if device is None else (device, inode)
