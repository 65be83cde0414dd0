"""The part of a name that stays the same from run to run.

A server opens ``/tmp/tmpab12cd34/x`` today and another name tomorrow; learning the first must
cover the second. What `detectors.sensitive` calls sensitive is never generalised: one learnt
secret does not excuse the next.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from detectors.window import Item, ItemKind

EPHEMERAL_PORT_FIRST: Final = 32768
"""Linux's default ip_local_port_range starts here."""

_SEGMENT_RULES: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}", "<uuid>"),
        (r"(?<![0-9a-zA-Z])(?=[a-f]*\d)[0-9a-f]{12,}(?![0-9a-zA-Z])", "<hash>"),
        (r"^tmp[a-z0-9_]{8}(?=$|\.)", "<temp>"),
        (
            r"^(pymp|ray|session|workspace|torch|ipc|psm|sem\.mp|sem\.loky)([-_.])[A-Za-z0-9_]{4,}",
            r"\1\2<temp>",
        ),
        (r"(?<=[-_.])(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{6,10}$", "<temp>"),
        (r"\d{4}[-_.]\d{2}[-_.]\d{2}(?:[T_ -]?\d{2}[-:.]?\d{2}(?:[-:.]?\d{2})?)?", "<date>"),
        (r"\d+", "<n>"),
    )
)
_CHANGES: Final = re.compile(r"\d|^(?:tmp|pymp|ray|session|workspace|torch|ipc|psm|sem)")
"""A segment without any of this is left alone by all rules: nearly every one."""

_DRAWN: Final = re.compile(
    r"^(/(?:tmp|var/tmp|dev/shm)/[^/]*?[-_.])(?:[a-z0-9_]{8}|[A-Za-z0-9]{6})(?=/|$)"
)
"""What mkstemp(3) and Python's tempfile draw, letters alone included: at the top of a directory of
temporary files it is taken out of every name, elsewhere only where a digit shows that nobody
chose it."""

_EXEC_RULES: Final = _SEGMENT_RULES[:4]

_COLLAPSES: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^(.*/(?:site|dist)-packages)/([^/]+)/.+$", r"\1/\2/**"),
        (r"^(.*)/__pycache__/[^/]+$", r"\1/__pycache__/**"),
        (r"^(/usr/(?:share|lib)/(?:locale|zoneinfo|i18n|fonts))/.+$", r"\1/**"),
        (r"^(/usr/lib/python[0-9.]+)/.+$", r"\1/**"),
        (r"^(.*/\.cache/[^/]+)/.+$", r"\1/**"),
        (r"^(/sys/[^/]+/[^/]+)/.+$", r"\1/**"),
    )
)

_AUTOBIND: Final = re.compile(r"unix @[0-9a-f]{5}")  # unix(7), Autobind feature

_READ_KINDS: Final = frozenset({ItemKind.FILE, ItemKind.LIBRARY})
_PATH_KINDS: Final = _READ_KINDS | {ItemKind.WRITE, ItemKind.EXEC, ItemKind.MODEL, ItemKind.DEVICE}


def generalise(item: Item, *, sensitive: bool) -> str:
    """Return the key under which `item` is learnt and looked up.

    Args:
        item: As the kernel saw it.
        sensitive: Whether it belongs to a sensitive class: then only its own process number is
            taken out of it, nothing else.
    """
    if item.kind in _PATH_KINDS and not item.item.startswith("sysv "):
        path = own_process(item.item, item.pid)
        if sensitive:
            return path
        return generalise_program(path) if item.kind is ItemKind.EXEC else _file(path, item.kind)
    if item.kind is ItemKind.PEER:
        return generalise_peer(item.item)
    if item.kind is ItemKind.LISTEN:
        return generalise_listener(item.item)
    if item.kind is ItemKind.SYSCALL and not sensitive:
        name, space, rest = item.item.partition(" ")
        return name + space + _segment(rest, _SEGMENT_RULES) if name == "set-name" else item.item
    return item.item


def own_process(path: str, pid: int) -> str:
    """Name a process's own directory in /proc ``self``, any other one ``<pid>``."""
    if not path.startswith("/proc/"):
        return path
    path = re.sub(rf"^/proc/{pid}(?=/|$)", "/proc/self", path)
    path = re.sub(r"^/proc/\d+(?=/|$)", "/proc/<pid>", path)
    return re.sub(r"/task/\d+(?=/|$)", "/task/<tid>", path)


def _file(path: str, kind: ItemKind) -> str:
    if kind in _READ_KINDS:
        for pattern, replacement in _COLLAPSES:
            collapsed, found = pattern.subn(replacement, path)
            if found:
                return collapsed
    elif "/__pycache__/" in path:
        return path.rpartition("/")[0] + "/**"
    path = _DRAWN.sub(r"\1<temp>", path)
    return "/".join(_segment(segment, _SEGMENT_RULES) for segment in path.split("/"))


def generalise_program(path: str) -> str:
    """Generalise the directories of a program, never its name: python3.9 is not python3.11."""
    folder, slash, name = path.rpartition("/")
    folder = "/".join(_segment(segment, _EXEC_RULES) for segment in folder.split("/"))
    return folder + slash + name


def _segment(text: str, rules: tuple[tuple[re.Pattern[str], str], ...]) -> str:
    if not _CHANGES.search(text):
        return text
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text


def split_endpoint(text: str) -> tuple[str, str, int | None]:
    """Split ``tcp [::1]:53`` into protocol, address and port; a port may be absent.

    An IPv4 address mapped into IPv6 comes back as IPv4: the same peer over another socket.
    """
    protocol, _, rest = text.partition(" ")
    address, colon, port = rest.rpartition(":")
    if not colon or not port.isdecimal() or (":" in address and not address.startswith("[")):
        address, port = rest, ""
    address = address.strip("[]")
    mapped = address.lower().removeprefix("::ffff:")
    if mapped != address.lower() and "." in mapped:
        address = mapped
    return protocol, address, int(port) if port else None


def generalise_peer(text: str) -> str:
    """Generalise a peer: who called us by class of address, whom we call not at all.

    A path of a Unix socket is treated like a file's.
    """
    if text.startswith("refused "):
        return "refused " + generalise_peer(text.removeprefix("refused "))
    if text.startswith("accept unix by "):
        program, _, uid = text.removeprefix("accept unix by ").rpartition(" uid ")
        return f"accept unix by {generalise_program(program)} uid {uid}"
    if text.startswith("accept "):
        protocol, address, _ = split_endpoint(text.removeprefix("accept "))
        if protocol == "unix":
            return "accept unix"
        return f"accept {protocol} {address_class(address)}"
    protocol, address, port = split_endpoint(text)
    if protocol == "unix":
        return "unix " + _file(text.removeprefix("unix "), ItemKind.WRITE)
    host = f"[{address}]" if ":" in address else address
    return f"{protocol} {host}" if port is None else f"{protocol} {host}:{port}"


def generalise_listener(text: str) -> str:
    """Generalise a listener where its name is the kernel's choice.

    An ephemeral port for datagrams, or on loopback; a local name of five hexadecimal digits.
    """
    protocol, address, port = split_endpoint(text)
    if protocol == "unix":
        if _AUTOBIND.fullmatch(text):
            return "unix @<kernel>"
        return "unix " + _file(text.removeprefix("unix "), ItemKind.WRITE)
    host = f"[{address}]" if ":" in address else address
    chosen = protocol == "udp" or address_class(address) == "loopback"
    if chosen and port is not None and (port == 0 or port >= EPHEMERAL_PORT_FIRST):
        return f"{protocol} {host}:<ephemeral>"
    return f"{protocol} {host}" if port is None else f"{protocol} {host}:{port}"


def address_class(address: str) -> str:
    """Return loopback, link-local, private, public, or the text itself if it is no address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.is_loopback:
        return "loopback"
    if parsed.is_link_local:
        return "link-local"
    return "private" if parsed.is_private else "public"
