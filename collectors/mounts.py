"""Where the host has a file that a process names from another mount namespace or root directory.

A path of a kernel record begins at its process's root. Here it is followed through the mounts
that the process sees to a place on a filesystem, and from there through the mounts that we see.
What cannot be followed stays unknown; nothing is guessed. The same reader completes names that a
process gave: links on the way are followed now, which is a hint, not what the kernel followed.
"""

import os
import posixpath
import stat
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from collectors.changes import normal, of_directory
from collectors.procfs import SMALL_LIMIT, TABLE_LIMIT, ReadCounts, parse_stat, read, read_link
from collectors.sightings import Sighting

_K = TypeVar("_K")
_V = TypeVar("_V")

_PATHS: Final = frozenset({"file", "write", "refused-open", "refused-write", "exec", "library"})
_MADE: Final = frozenset({"write", "refused-write"})
"""Kinds whose file need not be there: its directory says where it would lie."""

_MOVES: Final = frozenset({"155", "161", "272", "308"})
"""Calls after which a process may see other mounts: pivot_root, chroot, unshare, setns."""

_REPLACES: Final = frozenset({"renamed-from", "renamed-to", "symlinked", "removed", "mounted"})
"""Changes after which a name, and those below it, may lead elsewhere."""

_FOLLOWS: Final = frozenset(
    {"mode", "owner", "truncated-to", "emptied", "attribute", "times", "mounted"}
)
"""Changes of what a name leads to; the others are of the name itself."""

FRESH_NS: Final = 1_000_000_000
"""How long a process is believed to see what it saw."""

MOUNTS_FRESH_NS: Final = 5_000_000_000
"""How long a table of mounts is believed."""

_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_MOST_PROCESSES: Final = 4096
_MOST_VIEWS: Final = 256
_MOST_FOLDERS: Final = 256
_MOST_LINKS: Final = 40  # as the kernel follows, MAXSYMLINKS


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo (proc(5)): `root` of a filesystem is seen at `point`."""

    device: str
    root: str
    point: str
    kind: str
    options: str


@dataclass(frozen=True, slots=True)
class View:
    """What a process sees: a mount namespace, from a root directory."""

    namespace: str
    root: str


class Mounts:
    """Answers by process; keeps what siblings in a cgroup see for those that are gone.

    Args:
        proc: Where procfs is mounted.
    """

    def __init__(self, proc: str = "/proc") -> None:
        """Look at what we see ourselves."""
        self._proc = proc
        self._counts = ReadCounts()
        self._own = self._look("self") or View("", "/")
        self._processes: OrderedDict[tuple[int, int], tuple[int, View]] = OrderedDict()
        self._cgroups: OrderedDict[int, View | None] = OrderedDict()
        self._tables: OrderedDict[View, tuple[int, tuple[Mount, ...]]] = OrderedDict()
        self._folders: OrderedDict[tuple[str, str], tuple[int, str]] = OrderedDict()

    def complete(self, sightings: Iterable[Sighting]) -> list[Sighting]:
        """The same, with names followed and the host's own paths where they differ."""
        return [self._complete(one) for one in sightings]

    def _complete(self, sighting: Sighting) -> Sighting:
        if sighting.kind == "syscall" and sighting.item in _MOVES:
            self._processes.pop((sighting.pid, sighting.start_ns), None)
        if sighting.kind not in _PATHS or not sighting.item.startswith("/"):
            return sighting
        view = self._view(sighting)
        if view is None:
            return sighting
        if sighting.given and "truncated" not in sighting.marks:
            sighting = self._followed(sighting, view)
        if view == self._own or "truncated" in sighting.marks:
            return sighting
        host_path = self._host_path(view, sighting)
        return sighting if not host_path else replace(sighting, host_path=host_path)

    def _view(self, sighting: Sighting) -> View | None:
        who, now_ns = (sighting.pid, sighting.start_ns), sighting.time_ns
        known = self._processes.get(who)
        if known is not None and now_ns - known[0] < FRESH_NS:
            return known[1]
        view = self._look(str(sighting.pid), sighting.start_ns)
        if view is None:
            return known[1] if known is not None else self._cgroups.get(sighting.cgroup)
        _keep(self._processes, who, (now_ns, view), _MOST_PROCESSES)
        beside = self._cgroups.get(sighting.cgroup, view)
        # Two views in one cgroup: of one that is gone, nobody can say which it had.
        _keep(self._cgroups, sighting.cgroup, view if beside == view else None, _MOST_PROCESSES)
        return view

    def _look(self, pid: str, start_ns: int = 0) -> View | None:
        """What a living process sees; None where it is gone, or the number is another's now."""
        at = f"{self._proc}/{pid}"
        namespace = read_link(f"{at}/ns/mnt", self._counts)
        root = read_link(f"{at}/root", self._counts)
        raw = read(f"{at}/stat", SMALL_LIMIT, self._counts) if start_ns else None
        found = parse_stat(raw) if raw else None
        if namespace is None or root is None:
            return None
        if start_ns and (found is None or found.start_ticks != start_ns // _TICK_NS):
            return None
        return View(namespace, root)

    def _followed(self, sighting: Sighting, view: View) -> Sighting:
        """The name behind the links on its way, as they lie now."""
        top = "" if view == self._own else f"{self._proc}/{sighting.pid}/root"
        now_ns, other = sighting.time_ns, sighting.other
        item = self._name(top, sighting.given, now_ns)
        if sighting.marks & _FOLLOWS and _is(stat.S_ISLNK, top + item):
            item = followed(top, item)
        if "symlinked" in sighting.marks:
            other = normal(posixpath.join(posixpath.dirname(item), other))
        elif other.startswith("/"):
            other = self._name(top, other, now_ns)
        if sighting.marks & _REPLACES:
            self._forget(top, {normal(sighting.given), item})
        marks = sighting.marks
        if "mode" in marks and _is(stat.S_ISDIR, top + item):
            marks = of_directory(marks)
        return replace(sighting, item=item, other=other, marks=marks)

    def _name(self, top: str, path: str, now_ns: int) -> str:
        """A name with its directory followed, once a second for each."""
        folder, _, name = path.rpartition("/")
        if name in {"", ".", ".."} or path.startswith("/proc/"):
            return followed(top, path)
        known = self._folders.get((top, folder))
        if known is None or now_ns - known[0] >= FRESH_NS:
            known = now_ns, followed(top, folder)
            _keep(self._folders, (top, folder), known, _MOST_FOLDERS)
        return f"{known[1].rstrip('/')}/{name}"

    def _forget(self, top: str, names: set[str]) -> None:
        """Follow anew what lies at or below these names."""
        stale = [
            key
            for key in self._folders
            if key[0] == top and any(_is_below(normal(key[1]), name) for name in names)
        ]
        for key in stale:
            del self._folders[key]

    def _host_path(self, view: View, sighting: Sighting) -> str:
        path, now_ns = sighting.item, sighting.time_ns
        if view.namespace == self._own.namespace:
            return normal(f"{view.root}{path}")
        mounts = self._mounts(view, str(sighting.pid), now_ns)
        mount = covering(mounts, path)
        if mount is None:
            return ""
        inside = _below(mount.root, path[len(mount.point.rstrip("/")) :])
        own = self._mounts(self._own, "self", now_ns)
        host = shown(own, mount.device, inside)
        if not host and mount.kind == "overlay":
            host = _of_overlay(mount.options, inside, parent=sighting.kind in _MADE)
        return "" if host == path else host

    def _mounts(self, view: View, pid: str, now_ns: int) -> tuple[Mount, ...]:
        known = self._tables.get(view)
        if known is not None and now_ns - known[0] < MOUNTS_FRESH_NS:
            return known[1]
        raw = read(f"{self._proc}/{pid}/mountinfo", TABLE_LIMIT, self._counts)
        if not raw:
            return known[1] if known is not None else ()
        mounts = parse(raw.decode("utf-8", "backslashreplace"))
        _keep(self._tables, view, (now_ns, mounts), _MOST_VIEWS)
        return mounts


def parse(text: str) -> tuple[Mount, ...]:
    """The lines of a mountinfo, in their order: what is mounted later covers what was before."""
    mounts = []
    for line in text.splitlines():
        head, _, tail = line.partition(" - ")
        fields, kinds = head.split(), tail.split()
        if len(fields) > 4 and len(kinds) > 2:  # noqa: PLR2004 - up to point, and options
            root, point = (_plain(field) for field in fields[3:5])
            mounts.append(Mount(fields[2], root, point, kinds[0], _plain(kinds[2])))
    return tuple(mounts)


def covering(mounts: Iterable[Mount], path: str) -> Mount | None:
    """The mount that a path is on; None if it is on one that its process cannot see the top of."""
    found = None
    for mount in mounts:
        if _is_below(path, mount.point) and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def shown(mounts: tuple[Mount, ...], device: str, inside: str) -> str:
    """Where a place of a filesystem is to be seen; empty if nowhere."""
    places = [mount for mount in mounts if mount.device == device and _is_below(inside, mount.root)]
    for mount in sorted(places, key=lambda mount: len(mount.root)):
        path = _below(mount.point, inside[len(mount.root.rstrip("/")) :])
        if covering(mounts, path) == mount:
            return path
    return ""


def followed(top: str, path: str) -> str:
    """A path below `top` with all its links followed, the last part's too."""
    left, done, links = deque(path.split("/")), list[str](), 0
    if path.startswith("/proc/"):
        return normal(path)  # its links lead each reader elsewhere
    while left:
        part = left.popleft()
        if part in {"", "."}:
            continue
        if part == "..":
            del done[-1:]
            continue
        try:
            target = os.readlink(f"{top}/{'/'.join([*done, part])}")  # noqa: PTH115 - text
        except OSError:
            target = ""  # no link, or gone: it stays as it is called
        links += bool(target)
        if not target or links > _MOST_LINKS:
            done.append(part)
            continue
        done = [] if target.startswith("/") else done
        left.extendleft(reversed(target.split("/")))
    return "/" + "/".join(done)


def _of_overlay(options: str, inside: str, *, parent: bool) -> str:
    """The file in the layer that holds it, where its layers are to be seen from here."""
    given = dict(part.partition("=")[::2] for part in options.split(","))
    upper, lower = given.get("upperdir", ""), given.get("lowerdir", "")
    for layer in (upper, *lower.split(":")):
        path = _below(layer, inside)
        if not layer.startswith("/"):
            continue
        # What was just removed from the upper layer leaves its directory there.
        there = posixpath.dirname(path) if parent and layer == upper else path
        if os.path.lexists(there):
            return path
    return ""


def _is(of_kind: Callable[[int], bool], path: str) -> bool:
    try:
        return of_kind(os.lstat(path).st_mode)
    except OSError:
        return False


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _below(folder: str, rest: str) -> str:
    return (folder.rstrip("/") + rest) or "/"


def _plain(field: str) -> str:
    r"""Undo mountinfo's `\040` for a space and its like."""
    if "\\" not in field:
        return field
    for code in ("040", "011", "012", "134"):
        field = field.replace(f"\\{code}", chr(int(code, 8)))
    return field


def _keep(kept: OrderedDict[_K, _V], key: _K, value: _V, most: int) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
