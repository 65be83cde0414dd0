"""Which files a uprobe belongs into: this host's, and each watched process's own."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_FOLDERS: Final = (
    "/usr/lib/x86_64-linux-gnu",
    "/lib/x86_64-linux-gnu",
    "/usr/lib64",
    "/lib64",
    "/usr/lib",
    "/lib",
    "/usr/local/lib",
)
_MAPPED: Final = re.compile(r"^\S+ ..x. \S+ \S+ \d+ +(/.+)$", re.MULTILINE)

Inode = tuple[int, int]


def library_files(name: str, pids: Iterable[int]) -> dict[Inode, str]:
    """Where a library lies, by inode: on this host, and as each process has it mapped.

    A path of another mount namespace is reached through /proc/PID/root. Python wheels carry
    copies whose names hold a hash (libssl-3e69114b.so.3); they count, too.
    """
    found: dict[Inode, str] = {}
    _note(found, (f"{folder}/{name}" for folder in _FOLDERS))
    stem, dot, rest = name.partition(".")
    wanted = re.compile(rf"{re.escape(stem)}(?:-[0-9a-f]{{8,}})?{re.escape(dot + rest)}")
    for pid in pids:
        _note(found, _mapped(pid, wanted))
    return found


def binary_files(path: Path, pids: Iterable[int]) -> dict[Inode, str]:
    """Where a path leads, by inode: on this host, and in each process's own root."""
    found: dict[Inode, str] = {}
    _note(found, (str(path), *(f"/proc/{pid}/root{path}" for pid in pids)))
    return found


def _mapped(pid: int, wanted: re.Pattern[str]) -> Iterator[str]:
    with suppress(OSError):  # it ended meanwhile
        maps = Path(f"/proc/{pid}/maps").read_text("utf-8", "replace")
        for path in dict.fromkeys(_MAPPED.findall(maps)):
            if wanted.fullmatch(path.rpartition("/")[2]):
                yield f"/proc/{pid}/root{path}"


def _note(found: dict[Inode, str], paths: Iterable[str]) -> None:
    for path in paths:
        with suppress(OSError):
            facts = os.stat(path)  # noqa: PTH116 - of a string built a line ago
            found.setdefault((facts.st_dev, facts.st_ino), path)
