"""What a model directory holds: every file and link, with digest, size and mode."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from agent.errors import AgentError
from collectors.models.digests import ChangedError, DigestCache
from collectors.mounts import parse

_WORKERS: Final = min(4, os.cpu_count() or 1)  # the hash takes a core each; a disk is full by then
Progress = Callable[[int], None]


class UnreadableModelError(AgentError):
    """{0} cannot be read: {1}."""


class MovingModelError(AgentError):
    """{0} changed while it was read. Stop what writes there and try again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name below a model directory.

    Attributes:
        kind: "file", "link", or "other": a pipe, socket or device.
        sha256: Of the content, through a link too; "" where that is no regular file.
        target: What a link says, as it says it.
    """

    path: str
    kind: str
    sha256: str = ""
    size_bytes: int = 0
    mode: int = 0
    target: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def names(root: Path) -> Iterator[Path]:
    """Yield every file and link below `root`, and links that lead to directories, sorted.

    Raises:
        UnreadableModelError: A directory cannot be listed.
    """

    def refused(error: OSError) -> None:
        raise UnreadableModelError(error.filename, error.strerror) from error

    for directory, inner, files in os.walk(root, onerror=refused):
        inner.sort()
        links = [name for name in inner if Path(directory, name).is_symlink()]
        yield from (Path(directory, name) for name in sorted([*files, *links]))


def total_bytes(root: Path) -> int:
    """Return how many bytes an inventory has to read."""
    return sum(p.stat().st_size for p in names(root) if p.is_file())


def inventory(root: Path, cache: DigestCache, progress: Progress | None = None) -> list[Entry]:
    """Return every entry below `root`, by path.

    Raises:
        UnreadableModelError, MovingModelError: One of them.
    """
    paths = list(names(root))
    with ThreadPoolExecutor(_WORKERS) as pool:
        return list(pool.map(lambda path: read_entry(root, path, cache, progress), paths))


def read_entry(
    root: Path, path: Path, cache: DigestCache, progress: Progress | None = None
) -> Entry:
    """Return one entry.

    Raises:
        UnreadableModelError, MovingModelError: It could not be read as one thing.
    """
    name = path.relative_to(root).as_posix()
    try:
        here = path.lstat()
        mode = stat.S_IMODE(here.st_mode)
        if stat.S_ISREG(here.st_mode):
            return Entry(name, "file", cache.digest(path, progress), here.st_size, mode)
        if not stat.S_ISLNK(here.st_mode):
            return Entry(name, "other", mode=mode)
        target = str(path.readlink())
        if not path.is_file():
            return Entry(name, "link", target=target)
        sha256 = cache.digest(path, progress)
        return Entry(name, "link", sha256, path.stat().st_size, target=target)
    except ChangedError as error:
        raise MovingModelError(path) from error
    except OSError as error:
        raise UnreadableModelError(path, error.strerror or error) from error


def mounted_over(path: Path) -> bool:
    """Return whether something is mounted right on a file: over its inode, or from elsewhere."""
    try:
        # The directory's device tells a mount of another filesystem, mountinfo one of its own.
        return path.lstat().st_dev != path.parent.stat().st_dev or str(path) in _mount_points()
    except OSError:
        return False  # its absence is told elsewhere


def _mount_points() -> set[str]:
    text = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    return {mount.point for mount in parse(text)}
