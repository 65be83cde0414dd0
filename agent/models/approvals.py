"""Approved model directories beside what lies there now: cheap to look at, again and again.

Nothing here reads a model: a digest that is not known yet is asked for by `UnreadError`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from agent.errors import AgentError
from agent.models.inventory import Entry, UnreadableModelError, names
from agent.models.manifest import DamagedManifestError, ForgedManifestError, read_any
from agent.models.signing import Checker
from agent.models.verify import Deviation, verify_entry
from collectors.models.artifacts import is_artifact
from collectors.models.digests import DigestCache, FileState

_CODE: Final = re.compile(r"\.(?:py|so|pth|jinja2?|mar|whl|dylib)$|/(?:code|handler)[^/]*$")
"""What a server may load or run from beside its weights; locks, logs and caches are neither."""

Number = tuple[int, int]
"""Device and inode, as stat names them."""


class UnreadError(Exception):
    """The digest of `path` is not known yet."""

    def __init__(self, path: Path) -> None:
        """Name the file."""
        super().__init__(str(path))
        self.path = path


class Glance(NamedTuple):
    """A name at one look: its mode, itself, and the file that it leads to."""

    mode: int
    here: FileState
    there: FileState


class KnownDigests(DigestCache):
    """Digests that were read elsewhere."""

    def digest(self, path: Path, progress: Callable[[int], None] | None = None) -> str:
        """Return the digest of the file as it is now.

        Raises:
            OSError: It cannot be looked at.
            UnreadError: It was not read in this state.
        """
        del progress
        state = FileState.of(path.stat())
        if state not in self.known:
            raise UnreadError(path)
        return self.known[state]


@dataclass(slots=True)
class Approval:
    """One directory.

    Attributes:
        entries: As approved, by name.
        users: Workloads that opened something in it.
        wrong: What is not as approved, by name, as it was told.
        unread: Names whose digest was asked for.
    """

    root: Path
    entries: dict[str, Entry]
    users: set[str] = field(default_factory=set)
    wrong: dict[str, tuple[Deviation, ...]] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    _seen: dict[str, Glance | None] = field(default_factory=dict)
    _folders: dict[Path, int] = field(default_factory=dict)
    _extra: set[str] = field(default_factory=set)

    def used_by(self, workload: str) -> None:
        """Take in one more workload: all is compared anew, so that it is told, too."""
        self.users.add(workload)
        self.wrong.clear()
        self._seen.clear()

    def changed(self) -> list[str]:
        """Return the names that are not as they were at the last look: all of them at the first."""
        found = []
        self._list()
        for name in (*self.entries, *sorted(self._extra)):
            now = glance(self.root / name)
            if name not in self._seen or self._seen[name] != now:
                self._seen[name] = now
                found.append(name)
        return found

    def files(self) -> Iterable[tuple[Number, str]]:
        """Return each file behind the names, as it was at the last look."""
        return [
            ((told.there.device, told.there.inode), name)
            for name, told in self._seen.items()
            if told is not None
        ]

    def numbers(self) -> tuple[set[Number], set[Number]]:
        """Return the approved files, and the links and directories by which they are reached."""
        kept = [told for name, told in self._seen.items() if told and name in self.entries]
        files = {(told.there.device, told.there.inode) for told in kept}
        places = {(told.here.device, told.here.inode) for told in kept if told.here != told.there}
        for folder in self._folders:
            with suppress(OSError):
                here = folder.lstat()
                places.add((here.st_dev, here.st_ino))
        return files, places

    def again(self, name: str) -> None:
        """Take a name for changed at the next look."""
        self._seen.pop(name, None)

    def check(self, name: str, digests: KnownDigests) -> tuple[Deviation, ...]:
        """Compare one name with what was approved.

        Raises:
            UnreadError: Its content has to be read first.
        """
        known = self.entries.get(name)
        path = self.root / name
        if known is None and not os.path.lexists(path):
            self._extra.discard(name)
            return ()  # came and went
        return tuple(verify_entry(self.root, name, known, digests))

    def _list(self) -> None:
        """Look for new names where a directory changed."""
        now = {folder: _mtime_ns(folder) for folder in self._folders}
        if self._folders and now == self._folders:
            return
        try:
            here = list(names(self.root))
        except UnreadableModelError:
            return  # that its files cannot be reached is told of each of them
        self._folders = {folder: _mtime_ns(folder) for folder in _folders(self.root)}
        told = {path.relative_to(self.root).as_posix(): str(path) for path in here}
        self._extra = {
            name
            for name, path in told.items()
            if name not in self.entries and (is_artifact(path) or _CODE.search(path))
        }


class Approvals:
    """Every approved directory of this host, found by what lies in it.

    Attributes:
        roots: By root.
        forged: Manifests that nobody here signed, with why: told once each.
        digests: Of everything read.
    """

    def __init__(self, state: Path, keys: Sequence[Path]) -> None:
        """Read nothing yet.

        Args:
            state: Holds the manifests, below `trust/`.
            keys: Public keys; a manifest may be signed by any of them.
        """
        self.roots: dict[str, Approval] = {}
        self.forged: dict[Path, str] = {}
        self.digests = KnownDigests()
        self._place = state / "trust"
        self._keys = keys
        self._read: dict[Path, tuple[FileState, str]] = {}
        self._files: dict[Number, tuple[Approval, str]] = {}

    def refresh(self) -> list[Path]:
        """Take in manifests that are new, changed or gone; return those newly found forged."""
        here = {path: FileState.of(path.stat()) for path in sorted(self._place.glob("[!.]*.json"))}
        for path in self._read.keys() - here.keys():
            _, root = self._read.pop(path)
            self.roots.pop(root, None)
        fresh = [path for path, state in here.items() if self._read.get(path, ("",))[0] != state]
        found = [path for path in fresh if not self._take(path, here[path])]
        if fresh:
            self.index()
        return found

    def find(self, path: str) -> tuple[Approval, str] | None:
        """Return the approved directory that a host's path lies in, and the name below it."""
        above = (str(parent) for parent in Path(path).parents)
        approval = next((self.roots[root] for root in above if root in self.roots), None)
        return None if approval is None else (approval, os.path.relpath(path, approval.root))

    def find_file(self, number: Number) -> tuple[Approval, str] | None:
        """Return the approved name of a file, by whatever path it was opened."""
        return self._files.get(number)

    def index(self) -> None:
        """Look at every file again that nobody uses, and note which they all are."""
        for approval in self.roots.values():
            if not approval.users:
                approval.changed()
        self._files = {
            number: (approval, name)
            for approval in self.roots.values()
            for number, name in approval.files()
            if name in approval.entries
        }

    def _take(self, path: Path, state: FileState) -> bool:
        try:
            manifest = read_any(path, [Checker.load(key) for key in self._keys if key.exists()])
        except (ForgedManifestError, DamagedManifestError) as error:
            self._read[path] = state, self._read.get(path, (state, ""))[1]
            new = path not in self.forged
            self.forged[path] = str(error)
            return not new
        except AgentError as error:
            self.forged[path] = str(error)
            return True
        self.forged.pop(path, None)
        entries = {entry.path: entry for entry in manifest.entries}
        before = self.roots.get(manifest.root)
        users = before.users if before is not None else set()
        self.roots[manifest.root] = Approval(Path(manifest.root), entries, users)
        self._read[path] = state, manifest.root
        return True


def glance(path: Path) -> Glance | None:
    """Return what changes when a name, its attributes or its content do; None: it is gone."""
    try:
        here = path.lstat()
        there = path.stat() if stat.S_ISLNK(here.st_mode) else here
    except OSError:
        return None
    return Glance(here.st_mode, FileState.of(here), FileState.of(there))


def _folders(root: Path) -> list[Path]:
    return [Path(directory) for directory, _, _ in os.walk(root)]


def _mtime_ns(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0
