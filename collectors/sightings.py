"""What a kernel record says, in the words the agent uses."""

import ipaddress
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from collectors.heads import Heads
from probes.schema import Schema

FILE_STORM: Final = 512
"""More first-seen files than this of one workload in one batch are told by directory."""

_AF_UNIX: Final = 1
_AF_INET: Final = 2
_PROTOCOLS: Final = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp", 132: "sctp", 136: "udplite"}


@dataclass(frozen=True, slots=True)
class Sighting:
    """One thing a task did for the first time, or that is told each time.

    Attributes:
        kind: exec, exit, file, write, library, model, stranger, peer, listen, syscall, denied,
            refused, name, title, privilege, signal, shared, gpu, image, probe, stack, request,
            inputs, reflex-exec, reflex-connect, reflex-secret.
        item: Path, peer, listener, host name, call number or words, as verdicts write them.
        workload: Kernel id; 0: nobody asked to watch it.
        role: Kernel id of its role.
        time_ns: CLOCK_MONOTONIC.
        pid: Thread group; `start_ns` (CLOCK_BOOTTIME) makes it an identity.
        key: The kernel's first-seen key, to make it report again; empty where none.
        arguments: Of a new program.
        status: (exit code, signal) of an exit; (result, 0) of a call; (errno, 0) of a
            refusal; (child, thread) of a stack.
        fields: What an operator probe added up, by name.
        frames: Addresses of a stack: its chain, or with the mark `words` its newest words. Of GPU
            code: its address, a hash of its beginning, and its size, 0 where that is not known.
        size: Of a file when it was opened, bytes.
        generation: Of its inode's number, which may have been another file's before.
        exe: Of a stranger: its executable's path, or the end of it.
        other: The other name of a rename or a link; the new mode, owner or length; of inputs
            that drift the numbers.
        given: A path as the process gave it, where the kernel kept none; empty elsewhere.
        host_path: Where the host has the file, if another path leads there from its root.
    """

    kind: str
    item: str
    workload: int
    role: int
    time_ns: int
    pid: int
    ppid: int
    uid: int
    start_ns: int
    cgroup: int
    comm: str
    marks: frozenset[str] = frozenset()
    key: bytes = b""
    inode: tuple[int, int] = (0, 0)
    arguments: tuple[str, ...] = ()
    status: tuple[int, int] = (0, 0)
    count: int = 1
    fields: tuple[tuple[str, int], ...] = ()
    frames: tuple[int, ...] = ()
    size: int = 0
    generation: int = 0
    exe: str = ""
    other: str = ""
    given: str = ""
    host_path: str = ""


class Reader:
    """What every record has: header, marks, key. Counts what is read and what is refused."""

    def __init__(self, schema: Schema) -> None:
        """Take the constants from the object's own BTF."""
        self.read = 0
        self.rejected = 0
        self._flags = schema.enum("event_flag")
        self._key = schema.dtype("seen_key")
        self._marks: dict[int, frozenset[str]] = {}
        self.heads = Heads(schema)

    def marks(self, flags: int) -> frozenset[str]:
        """Words for a record's flags."""
        if flags not in self._marks:
            self._marks[flags] = frozenset(
                word for name, word in _MARK_WORDS.items() if flags & self._flags[name]
            )
        return self._marks[flags]

    def path(self, record: np.void) -> str:
        """A record's path, with the beginning that another record brought."""
        return text(self.heads.path(record))

    def marks_of(self, record: np.void) -> frozenset[str]:
        """Words for a record's flags; one that another record completes is not truncated."""
        return self.marks(self.heads.flags(record))

    def base(self, record: np.void) -> dict[str, Any]:
        """The fields every sighting takes from its record's header."""
        header = record["hdr"]
        return {
            "workload": int(header["workload"]),
            "role": int(header["role"]),
            "time_ns": int(header["time_ns"]),
            "pid": int(header["pid"]),
            "ppid": int(header["ppid"]),
            "uid": int(header["uid"]),
            "start_ns": int(header["start_ns"]),
            "cgroup": int(header["cgroup"]),
            "comm": text(header["comm"]),
            "marks": self.marks_of(record),
        }

    def seen_key(self, header: np.void, **fields: int) -> bytes:
        """The key under which the kernel remembers this record."""
        key = np.zeros(1, self._key)
        key["workload"], key["role"], key["kind"] = (
            header["workload"],
            header["role"],
            header["kind"],
        )
        for name, value in fields.items():
            key[name] = value
        return key.tobytes()


_MARK_WORDS: Final = {
    "FLAG_TRUNCATED": "truncated",
    "FLAG_DELETED": "deleted",
    "FLAG_CREATED": "create",
    "FLAG_ANONYMOUS": "anonymous",
    "FLAG_STDIO_SOCKET": "stdio-socket",
    "FLAG_UNREADABLE": "unreadable",
    "FLAG_PROTECT": "mprotect",
    "FLAG_FOREIGN": "foreign",
    "FLAG_RING": "io_uring",
    "FLAG_SHARED": "shared",
    "FLAG_CORE": "core",
    "FLAG_OOM": "oom",
    "FLAG_GIVEN": "given",
    "FLAG_DIRECTORY": "listed",
}


_ENVIRONMENT_WORDS: Final = {
    "ENVIRONMENT_PRELOAD": "ld-preload",
    "ENVIRONMENT_AUDIT": "ld-audit",
    "ENVIRONMENT_LIBRARY_PATH": "ld-library-path",
    "ENVIRONMENT_PYTHON": "python-path",
    "ENVIRONMENT_UNREAD": "environment-unread",
}


def environment_words(found: int, flags: dict[str, int]) -> frozenset[str]:
    """Marks for what a new program's environment sets; `flags` is `enum environment_flag`."""
    return frozenset(word for name, word in _ENVIRONMENT_WORDS.items() if found & flags[name])


def host_name(raw: bytes) -> str:
    """The name of a DNS question (RFC 1035, 3.1): parts behind their lengths, as one with dots."""
    parts, at = [], 0
    while at < len(raw):
        parts.append(raw[at + 1 : at + 1 + raw[at]])
        at += 1 + raw[at]
    return text(b".".join(parts))


def directory(path: str) -> str:
    """The directory of a path, with its slash; a path without any stays as it is."""
    return path[: path.rfind("/") + 1] or path


def text(raw: bytes) -> str:
    """Bytes of the kernel as text; what is no UTF-8 stays visible."""
    return bytes(raw).decode("utf-8", "backslashreplace")


def address(family: int, raw: np.ndarray) -> str:
    """An IP address as people write it; IPv6 in brackets."""
    if family == _AF_INET:
        return str(ipaddress.IPv4Address(bytes(raw[:4])))
    return f"[{ipaddress.IPv6Address(bytes(raw))}]"


def protocol_name(number: int) -> str:
    """One of IP's next protocols by name, or `ip` and its number."""
    return _PROTOCOLS.get(number, f"ip{number}")


def peer_words(record: np.void, accepted: int, local: bool) -> str:  # noqa: FBT001
    """The notation of a peer: `tcp 10.0.0.1:443`, `accept tcp 10.0.0.1`, `unix /run/x`."""
    family = int(record["family"])
    if family == _AF_UNIX:
        path = bytes(record["path"])[: int(record["path_bytes"])]
        name = path.lstrip(b"\0") if path.startswith(b"\0") else path.partition(b"\0")[0]
        return f"unix {'@' if path.startswith(bytes(1)) else ''}{text(name)}"
    protocol = protocol_name(int(record["protocol"]))
    host = address(family, record["local"] if local else record["remote"])
    if int(record["direction"]) == accepted:
        return f"accept {protocol} {host}"
    return f"{protocol} {host}:{int(record['local_port' if local else 'remote_port'])}"
