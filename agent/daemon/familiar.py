"""Peers that say little: the host's name service, and hosts that serving software is known to call.

A published wheel may ask for its maker's telemetry minutes after start, or an engine every ten.
Who owns such a name is no attacker, and the name service of the host answers whoever asks: what was
asked is told, who was asked says nothing.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from detectors.generalise import split_endpoint
from detectors.questions import PREFIX, is_question
from detectors.window import KNOWN_HOST, NAME_SERVICE, Item, ItemKind

_CONFIGURED: Final = Path("/etc/resolv.conf")
_PORT: Final = 53
_PROTOCOLS: Final = ("udp", "tcp")


class Familiar:
    """Marks such peers.

    Args:
        hosts: Globs of names, of every engine: a server often runs one inside another.
        configured: The host's own list of name servers; a container's is its owner's to write.
    """

    def __init__(self, hosts: Iterable[str] = (), configured: Path = _CONFIGURED) -> None:
        """Read nothing yet."""
        self._hosts = frozenset(hosts)
        self._configured = configured
        self._changed_ns = -1
        self._addresses: frozenset[str] = frozenset()

    def mark(self, item: Item) -> Item:
        """Return it with what is known of its peer."""
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
