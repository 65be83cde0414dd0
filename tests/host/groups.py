"""Control groups that a test makes, and that end with it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process in a frozen group of its own, and back where it was."""
    told = Path(f"/proc/{pid}/cgroup").read_text("ascii").splitlines()
    before = next(line[3:] for line in told if line.startswith("0::"))
    group = cgroup_root() / f"inferward-test-{os.getpid()}-frozen"
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(pid))
        (group / "cgroup.freeze").write_text("1")
        yield
    finally:
        (group / "cgroup.freeze").write_text("0")
        back = cgroup_root() / before.lstrip("/") / "cgroup.procs"
        while inside := (group / "cgroup.procs").read_text("ascii").split():
            for each in inside:  # and its children
                with suppress(ProcessLookupError):
                    back.write_text(each)
        group.rmdir()
