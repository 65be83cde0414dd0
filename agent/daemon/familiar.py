"""Peers and places that say little: name service, known telemetry, a process's temporary files.

A published wheel may ask for its maker's telemetry minutes after start, or an engine every ten.
Who owns such a name is no attacker, and the name service of the host answers whoever asks: what was
asked is told, who was asked says nothing. And many a server is given a directory for temporary
files that is not /tmp.
"""

from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from collectors.procfs import ReadCounts, read
from detectors.generalise import split_endpoint
from detectors.questions import PREFIX, is_question
from detectors.window import KNOWN_HOST, NAME_SERVICE, TEMPORARY, Item, ItemKind

_CONFIGURED: Final = Path("/etc/resolv.conf")
_PORT: Final = 53
_PROTOCOLS: Final = ("udp", "tcp")
_PATHS: Final = frozenset({ItemKind.FILE, ItemKind.WRITE})
_UNIX: Final = "unix "

_VARIABLES: Final = (b"TMPDIR", b"TEMP", b"TMP")  # in Python's order; C's tmpfile asks the first
_ENVIRONMENT_LIMIT: Final = 256 << 10
_PROCESSES: Final = 4096


class TemporaryPlaces:
    """Where each process puts its temporary files, by the environment it was started with.

    Read once for each program that a process runs, when it first does something new: what it
    writes over its own environment later changes nothing.
    """

    def __init__(self, proc: Path = Path("/proc")) -> None:
        """Read nothing yet."""
        self._proc = proc
        self._known: OrderedDict[tuple[int, str], str] = OrderedDict()

    def holds(self, path: str, pid: int, exe: str) -> bool:
        """Whether a path, as process `pid` sees it, lies below its directory."""
        process = (pid, exe)
        place = self._known.get(process)
        if place is None:
            place = self._known[process] = self._read(pid)
            if len(self._known) > _PROCESSES:
                self._known.popitem(last=False)
        return bool(place) and path.startswith(place)

    def _read(self, pid: int) -> str:
        """Return the directory with a slash at its end; empty where none, or one too broad."""
        # A process that is gone has none: what it did is judged by the path alone.
        found = read(f"{self._proc}/{pid}/environ", _ENVIRONMENT_LIMIT, ReadCounts()) or b""
        set_to = dict(variable.partition(b"=")[::2] for variable in found.split(b"\0"))
        values = (set_to[name] for name in _VARIABLES if name in set_to)
        place = next(values, b"").decode("utf-8", "surrogateescape").rstrip("/")
        # One step below the root is where a host's or an image's own things lie, too.
        return f"{place}/" if place.startswith("/") and place.count("/") > 1 else ""


class Familiar:
    """Marks such peers and files.

    Args:
        hosts: Globs of names, of every engine: a server often runs one inside another.
        configured: The host's own list of name servers; a container's is its owner's to write.
    """

    def __init__(self, hosts: Iterable[str] = (), configured: Path = _CONFIGURED) -> None:
        """Read nothing yet."""
        self._hosts = frozenset(hosts)
        self._configured = configured
        self._places = TemporaryPlaces()
        self._changed_ns = -1
        self._addresses: frozenset[str] = frozenset()

    def mark(self, item: Item) -> Item:
        """Return it with what is known of its peer, or of where it lies."""
        if item.kind in _PATHS or (item.kind is ItemKind.PEER and item.item.startswith(_UNIX)):
            own = self._places.holds(item.item.removeprefix(_UNIX), item.pid, item.exe)
            return replace(item, marks=item.marks | {TEMPORARY}) if own else item
        if item.kind is not ItemKind.PEER:
            return item
        if is_question(item.item):
            name = item.item.removeprefix(PREFIX).rstrip(".").lower()
            known = any(fnmatchcase(name, host) for host in self._hosts)
            return replace(item, marks=item.marks | {KNOWN_HOST}) if known else item
        protocol, address, port = split_endpoint(item.item)
        if protocol in _PROTOCOLS and port == _PORT and address in self._servers():
            return replace(item, marks=item.marks | {NAME_SERVICE})
        return item

    def _servers(self) -> frozenset[str]:
        """Return their addresses, read anew where the file changed."""
        with suppress(OSError):  # none: then none is familiar
            changed_ns = self._configured.stat().st_mtime_ns
            if changed_ns != self._changed_ns:
                self._changed_ns = changed_ns
                lines = map(str.split, self._configured.read_text("utf-8", "replace").splitlines())
                servers = (line[1] for line in lines if line[:1] == ["nameserver"] and line[1:])
                self._addresses = frozenset(servers)
        return self._addresses
