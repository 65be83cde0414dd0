"""Which files a contained workload may not open: told to the kernel by inode, not by name.

A directory stands for everything below it, also for what is made there later. A name
that is replaced by another file must be marked anew: call `mark` again.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from probes.maps import BpfMap
    from probes.schema import Schema

_MINOR_BITS: Final = 20  # include/linux/kdev_t.h: how the kernel numbers devices inside


def mark(
    sensitive: BpfMap, schema: Schema, paths: Iterable[str], secrecy: str = "SECRET_FILE"
) -> int:
    """Adds files and directories to the kernel's set; returns how many of them exist.

    A link is left out: whoever owns it could lead us to mark any file of the host.

    Raises:
        ProbeError: the set takes no more.
    """
    value = schema.enum("secrecy")[secrecy].to_bytes(1, "little")
    count = 0
    for path in paths:
        try:
            found = os.lstat(path)
        except OSError:  # absent, or behind something absent: nothing that could be opened
            continue
        if stat.S_ISLNK(found.st_mode):
            continue
        sensitive.set(_key(schema, found), value)
        count += 1
    return count


def clear(sensitive: BpfMap) -> None:
    """Forgets every file."""
    keys, _ = sensitive.items()
    sensitive.delete_many(keys)


def _key(schema: Schema, found: os.stat_result) -> bytes:
    key = np.zeros(1, schema.dtype("file_key"))
    key["ino"] = found.st_ino
    key["dev"] = kernel_device(found.st_dev)
    return key.tobytes()


def kernel_device(device: int) -> int:
    """A device's number as the kernel has it inside, from what stat(2) tells."""
    return os.major(device) << _MINOR_BITS | os.minor(device)
