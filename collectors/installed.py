"""Whether a file of the host is as its package installed it, by dpkg's own lists.

They lie on the same disk and root can write them: they tell a library that somebody put in the
place of the packaged one, not one that a careful root forged together with its list. A driver
that NVIDIA's own installer brought is of no package, which is nothing bad.
Source: dpkg(1), the files *.list and *.md5sums of its directory.
"""

import hashlib
import os
import stat
from pathlib import Path
from typing import Final, NamedTuple

DPKG: Final = Path("/var/lib/dpkg/info")
MOST_BYTES: Final = 512 << 20
"""Of a file that is read for its digest."""

_MOST_LIST_BYTES: Final = 16 << 20
_STEP: Final = 1 << 20


class Installed(NamedTuple):
    """What the package's lists say of a file.

    Attributes:
        package: "" where no package of this host has it.
        changed: Whether its content is another than the package's.
    """

    package: str
    changed: bool = False

    @property
    def words(self) -> str:
        """As `agent status` has it."""
        if not self.package:
            return "of no package"
        if self.changed:
            return f"not as {self.package} installed it"
        return f"as {self.package} has it"


NO_PACKAGE: Final = Installed("")


def installed(file: int, path: str, lists: Path = DPKG) -> Installed:
    """Compare an open file with its package.

    Args:
        file: Its descriptor.
        path: Where a process sees it; in another root than ours it is of no package here.
        lists: dpkg's.
    """
    found = os.fstat(file)
    try:
        here = os.stat(path)  # noqa: PTH116 (compared with fstat)
    except OSError:
        return NO_PACKAGE
    if (here.st_dev, here.st_ino) != (found.st_dev, found.st_ino):
        return NO_PACKAGE
    names = {path, path.removeprefix("/usr")}  # dpkg may know it by its name before the merge
    package = _package(names, lists)
    wanted = _digest(package, names, lists) if package else ""
    if not wanted or not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
        return Installed(package)
    return Installed(package, _md5(file) != wanted)


def _package(names: set[str], lists: Path) -> str:
    wanted = {name.encode("utf-8", "surrogateescape") for name in names}
    for path in sorted(lists.glob("*.list")):
        if not wanted.isdisjoint(_read(path).splitlines()):
            return path.name.removesuffix(".list").partition(":")[0]
    return ""


def _digest(package: str, names: set[str], lists: Path) -> str:
    for path in (*lists.glob(f"{package}.md5sums"), *lists.glob(f"{package}:*.md5sums")):
        for line in _read(path).decode("utf-8", "surrogateescape").splitlines():
            digest, _, name = line.partition("  ")
            if f"/{name}" in names:
                return digest
    return ""


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_LIST_BYTES)
    except OSError:
        return b""  # a package that is removed at this moment


def _md5(file: int) -> str:
    digest, at = hashlib.md5(usedforsecurity=False), 0
    while data := os.pread(file, _STEP, at):
        digest.update(data)
        at += len(data)
    return digest.hexdigest()
