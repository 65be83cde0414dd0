"""Control groups that a test makes, and that end with it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from probes.holding import cgroup_root

LIMIT_BYTES: Final = 16 << 20


@contextmanager
def small_memory() -> Iterator[Path]:
    """A group limited to 16 MiB, in whichever tree has the memory controller; else skip."""
    name = f"inferward-test-{os.getpid()}"
    for parent, file in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (cgroup_root(), "memory.max"),
    ):
        if not parent.is_dir():
            continue
        group = parent / name
        group.mkdir()
        try:
            if (group / file).exists():
                (group / file).write_text(str(LIMIT_BYTES))
                yield group
                return
        finally:
            group.rmdir()
    pytest.skip("no memory controller to make a group in (cgroup.subtree_control)")
