"""How serious something new of no sensitive class is: by its kind, and by what lies near it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from detectors import attempts, inputs, questions, refusals
from detectors.assessment import Level
from detectors.changes import MODEL_FILE, change_of, weigh
from detectors.generalise import (
    EPHEMERAL_PORT_FIRST,
    address_class,
    generalise,
    own_process,
    split_endpoint,
)
from detectors.repertoire import Repertoire
from detectors.theft import TAKEN_MOST
from detectors.traffic import REASONS, TECHNIQUES
from detectors.unexplained import GRAVE, LEVELS
from detectors.unexplained import REASONS as UNEXPLAINED
from detectors.unexplained import TECHNIQUES as UNEXPLAINED_TECHNIQUES
from detectors.window import KNOWN_HOST, NAME_SERVICE, TEMPORARY, Item, ItemKind, is_stranger

_READ: Final = (ItemKind.FILE, ItemKind.LIBRARY, ItemKind.MODEL)
_TEMPORARY: Final = re.compile(
    r"^/(?:tmp|var/tmp|dev/shm|run|var/run|proc/self)(?:/|$)|^/dev/(?:null|zero|tty|pts/)"
)
_SYSTEM: Final = re.compile(
    r"^/(?:usr|lib(?:32|64)?|bin|sbin|sys|proc|run|dev/(?:null|zero|u?random|shm|tty|pts|full))(?:/|$)"
    r"|^/etc/(?:ld\.so\.(?:cache|preload|conf)|localtime|timezone|hosts?|host\.conf|resolv\.conf|nsswitch\.conf|gai\.conf"
    r"|protocols|services|passwd|group|locale\.alias|mime\.types|ssl/|ca-certificates|machine-id|os-release"
    r"|debian_version|lsb-release|inputrc|terminfo|python3[0-9.]*/|fonts/|alternatives/|magic)"
)
_WEIGHTS: Final = re.compile(
    r"\.(?:safetensors|gguf|ggml|onnx|pt|pth|ckpt|tflite|engine|plan|keras|h5|weights)$"
    r"|/blobs/(?:sha256[-:])?[0-9a-f]{40,64}$"
)
_CODE: Final = re.compile(r"/(?:site|dist)-packages/|/lib/python[0-9.]+/")
_RESOLVERS: Final = frozenset({"127.0.0.53:53", "127.0.0.54:53", "127.0.0.1:53", "::1:53"})
_QUIET_SOCKETS: Final = re.compile(
    r"^unix (?:/(?:var/)?run/(?:nscd/socket|systemd/(?:notify|journal/\S+|resolve/\S+))|/dev/log)$"
)

_QUIET_CALLS: Final = re.compile(r"^socket (?:netlink route|inet6? (?:stream mptcp|dgram icmp6?))$")
_DOOR: Final = ("T1571", "T1205", "AML.T0072")

_REPLACING: Final = frozenset({"renamed-to", "linked-to", "symlinked", "truncated-to", "emptied"})

_STOLEN: Final = ("T1005", "AML.T0035", "AML.T0037")
_CHANGED: Final = ("T1565.001", "AML.T0018.000")

COMPUTE_DEVICE: Final = "/dev/nvidia-uvm"
"""Every CUDA context has it open; `nvidia-smi` and other monitors do not."""

Verdict = tuple[Level, str, tuple[str, ...]]


def weight(item: Item, known: Repertoire) -> Verdict:
    """Return level, reason and techniques of an item that the role was never seen to do."""
    if is_stranger(item.role):
        return _stranger(item, known)
    judge = _BY_KIND.get(item.kind)
    found = _OTHER.get(item.kind, _UNUSUAL) if judge is None else judge(item, known)
    if not attempts.is_attempt(item.marks):
        return found
    level, reason, techniques = found
    return attempts.weighed(level), reason + attempts.WORDS, techniques


_UNUSUAL: Final[Verdict] = (Level.MEDIUM, "something it never did", ())
_OTHER: Final[dict[ItemKind, Verdict]] = {
    ItemKind.SEQUENCE: (Level.INFO, "calls in an order it never made", ()),
    ItemKind.DEVICE: (Level.HIGH, "a device it never used", ("T1496.001", "AML.T0048.000")),
}


def _unexplained(item: Item) -> Verdict:
    level = LEVELS[item.item][GRAVE in item.marks]
    words = UNEXPLAINED[item.item]
    return (
        level,
        f"{words} ({item.other})" if item.other else words,
        UNEXPLAINED_TECHNIQUES[item.item],
    )


_MINED: Final = ("T1496.001", "AML.T0048.000")
_GPU: Final[tuple[tuple[str, Verdict], ...]] = (
    ("xid ", (Level.MEDIUM, "an error of its GPU, told by the driver", ("T1499", "AML.T0029"))),
    ("ecc-", (Level.MEDIUM, "an error of its GPU, told by the driver", ("T1499", "AML.T0029"))),
    (
        "driver ",
        (
            Level.HIGH,
            "the GPU driver's library was replaced, and with it what a GPU is said to do",
            ("T1574", "T1014"),
        ),
    ),
    (
        "nvml-",
        (
            Level.HIGH,
            "NVML's list of processes and the open device files disagree, as when one is forged",
            ("T1014", "T1496.001"),
        ),
    ),
    ("share ", (Level.MEDIUM, "GPU memory that processes share by a handle", ("T1559",))),
    ("load ", (Level.MEDIUM, "GPU code it never loaded", _MINED)),
    ("", (Level.MEDIUM, "a use of the GPU it never made", _MINED)),
)
"""By how the item begins; the first that fits."""


def _gpu(item: Item, _known: Repertoire) -> Verdict:
    if item.item in UNEXPLAINED:
        return _unexplained(item)
    return next(verdict for prefix, verdict in _GPU if item.item.startswith(prefix))


def _probe(item: Item, _known: Repertoire) -> Verdict:
    """Judge what the judge found, and ends; else take the operator's level, a mark."""
    if item.item in UNEXPLAINED:
        return _unexplained(item)
    if "oom" in item.marks:
        return Level.MEDIUM, "memory ran out, and the kernel ended a process of it", ("T1499",)
    if "crash" in item.marks:
        return Level.MEDIUM, "a process of it crashed", ("T1499",)
    levels = (level for level in Level if f"level-{level.label}" in item.marks)
    return next(levels, Level.LOW), "an event of an operator's probe that it never had", ()


def _act(item: Item, _known: Repertoire) -> Verdict:
    if item.kind is ItemKind.SYSCALL:
        if item.item.startswith("set-name "):
            return Level.INFO, "a name that its threads never had", ()
        if item.item.startswith("kill "):
            return Level.LOW, "a signal to a process that is not its own", ()
        return _call(item)
    if "dropped" in item.marks:
        return Level.LOW, "fewer rights than it had", ()
    return Level.MEDIUM, "another user or group than it was", ("T1548",)


def _program(item: Item, known: Repertoire) -> Verdict:
    if "unlinked" in item.marks:
        return Level.MEDIUM, "its program's file was deleted while it runs", ("T1070.004", "T1036")
    if "replaced" in item.marks:
        return Level.LOW, "its program's file was replaced while it runs, as by an upgrade", ()
    if item.item in known.programs or known.other_role_knows(item):
        return Level.LOW, "another process of a program this workload already runs", ()
    return (Level.HIGH, "a program this workload never ran", ("T1059", "AML.T0050"))


def _file(item: Item, known: Repertoire) -> Verdict:  # noqa: PLR0911 - one return per finding
    if item.item.startswith("sysv shm "):
        return _segment(item)
    if item.item.startswith("/memfd:"):
        return Level.LOW, "a file in memory, shared by its descriptor", ()
    path = own_process(item.item, item.pid)
    key = generalise(item, sensitive=False)
    if (
        known.other_role_knows(item)
        or known.knows_folder(key, _READ)
        or known.knows_folder(path, _READ)
    ):
        return Level.INFO, "a new file beside files it reads", ()
    if _SYSTEM.search(path) or _CODE.search(path) or _is_temporary(item, path):
        return Level.INFO, "a file of the system or of installed code", ()
    if "listed" in item.marks:
        return _directory(item, key, known)
    if known.knows_neighbour(key, _READ) or known.knows_folder(path, (ItemKind.WRITE,)):
        return Level.LOW, "a file in a directory beside those it reads", ()
    if _WEIGHTS.search(path):  # another model than it serves: stolen, or put in its place
        return Level.HIGH, "weights in a place it never read any from", _STOLEN
    return Level.MEDIUM, "a file in a place it never read from", ("T1005", "T1083", "AML.T0037")


def _is_temporary(item: Item, path: str) -> bool:
    return TEMPORARY in item.marks or _TEMPORARY.search(path) is not None


def _segment(item: Item) -> Verdict:
    if "stranger" in item.marks:
        return Level.MEDIUM, "shared memory that no process of it made", ("T1559",)
    return Level.LOW, "shared memory among its processes", ()


def _stranger(item: Item, known: Repertoire) -> Verdict:
    """Judge what somebody outside opened of the workload's own: by who it is."""
    if item.kind in known.keys.get(item.role, {}) and "written" not in item.marks:
        return Level.LOW, "another of its files, opened from outside by who is known to do that", ()
    if "watched" in item.marks and item.exe in known.programs:
        return Level.LOW, "its file, opened by another workload of the same program", ()
    level = Level.MEDIUM if "watched" in item.marks else Level.HIGH
    if item.kind is ItemKind.DEVICE:
        return _gpu_beside(item, level)
    if "written" in item.marks:
        return Level.HIGH, "its file, opened from outside to be changed", _CHANGED
    if item.kind is ItemKind.FILE:
        return level, "its shared memory, opened by a program outside it", ("T1559", "AML.T0049")
    if TAKEN_MOST in item.marks and level is Level.HIGH:
        level = Level.CRITICAL
    return level, "its weights, opened by a program outside it", _STOLEN


def _gpu_beside(item: Item, level: Level) -> Verdict:
    if item.item != COMPUTE_DEVICE:
        return Level.LOW, "its GPU, opened by a program outside it, as monitors do", ()
    words = "the device through which a program computes on a GPU, opened by one outside it"
    return level, words, ("T1496.001", "AML.T0048.000")


def _directory(item: Item, key: str, known: Repertoire) -> Verdict:
    opened = replace(item, item=item.item.rstrip("/"), marks=frozenset())
    if known.knows(opened) or known.knows_below(key, (*_READ, ItemKind.WRITE)):
        return Level.INFO, "a directory around files it uses", ()
    if known.knows_neighbour(key, _READ):
        return Level.LOW, "a directory beside those it reads", ()
    return Level.MEDIUM, "a directory it never looked into", ("T1083", "AML.T0037")


def _write_or_change(item: Item, known: Repertoire) -> Verdict:
    write = _write(item, known)
    return weigh(item, known, write) if change_of(item.marks) else write


def _write(item: Item, known: Repertoire) -> Verdict:  # noqa: PLR0911 - one return per finding
    path = own_process(item.item, item.pid)
    key = generalise(item, sensitive=False)
    if "/__pycache__/" in path or path.startswith("/proc/self/"):
        return Level.INFO, "compiled code of a module, or its own settings", ()
    if _CODE.search(path):
        return (
            Level.HIGH,
            "a change to installed code, which every start of the server runs",
            ("T1554", "T1195.002", "AML.T0011.001"),
        )
    if known.other_role_knows(item) or known.knows_folder(key, (ItemKind.WRITE,)):
        return Level.INFO, "a new file beside files it writes", ()
    read = known.knows_used(item, ItemKind.FILE) or known.knows_used(item, ItemKind.MODEL)
    # Where a model lies does not matter: many are served out of temporary directories.
    if MODEL_FILE.search(path) and _replaces(item, read=read):
        return Level.HIGH, "a change to a model file that it never wrote", _CHANGED
    if read:
        return Level.MEDIUM, "a change to a file that it only read before", _CHANGED
    if _is_temporary(item, path):
        return Level.LOW, "a temporary file", ()
    if path.startswith("/etc/"):
        return Level.HIGH, "a change to the host's settings", ("T1565.001",)
    if known.knows_neighbour(key, (ItemKind.WRITE,)):
        return Level.LOW, "a file in a directory beside those it writes", ()
    if known.knows_folder(key, _READ):
        return (
            Level.MEDIUM,
            "a change among files it only read before",
            ("T1565.001", "AML.T0018.000"),
        )
    return Level.MEDIUM, "a file in a place it never wrote to", ("T1074.001", "AML.T0037")


def _replaces(item: Item, *, read: bool) -> bool:
    """Tell whether bytes that somebody else put there, or that it read, are others from now on."""
    change = change_of(item.marks)
    if change:
        return read and change in _REPLACING
    return read or not item.marks & {"create", "made"}


def _library(item: Item, known: Repertoire) -> Verdict:
    if "anonymous" in item.marks or "mprotect" in item.marks:
        return Level.MEDIUM, "machine code made at run time", ("T1055", "AML.T0011.000")
    path = own_process(item.item, item.pid)
    key = generalise(item, sensitive=False)
    if (
        known.knows_folder(key, (ItemKind.LIBRARY,))
        or known.other_role_knows(item)
        or _installed(path)
    ):
        return Level.INFO, "a library beside those it uses", ()
    if _CODE.search(path) and known.knows_neighbour(key, _READ):
        return Level.LOW, "a library of installed code", ()
    return (
        Level.HIGH,
        "machine code from a place it never loaded any from",
        ("T1574.006", "AML.T0011.000"),
    )


def _installed(path: str) -> bool:
    return path.startswith(("/usr/lib/", "/lib/", "/lib64/", "/usr/lib64/", "/usr/bin/", "/bin/"))


def _question(item: Item) -> Verdict:
    if KNOWN_HOST in item.marks:
        return Level.LOW, "a host that serving software is known to call", ()
    return Level.MEDIUM, "a host name it never asked for", ("T1071.004",)


def _refusal(item: Item, known: Repertoire) -> Verdict:
    if _QUIET_SOCKETS.search(item.item.removeprefix(refusals.PREFIX)):
        return Level.INFO, "a system service that libraries look for", ()
    return refusals.judged(item, known)


def _peer(item: Item, known: Repertoire) -> Verdict:  # noqa: PLR0911 - one return per finding
    if questions.is_question(item.item):
        return _question(item)
    if refusals.is_refusal(item.item):
        return _refusal(item, known)
    protocol, address, port = split_endpoint(item.item.removeprefix("accept "))
    if item.item.startswith("accept unix by "):
        return _local_caller(item, known)
    if item.item.startswith("accept "):
        return Level.LOW, "a caller from a part of the network that never called", ()
    if protocol == "unix":
        if _QUIET_SOCKETS.search(item.item):
            return Level.INFO, "a socket of the system's log or name service", ()
        if _is_temporary(item, item.item.removeprefix("unix ")):
            return Level.LOW, "a socket in a temporary directory", ("T1559",)
        return Level.MEDIUM, "a local socket it never used", ("T1559",)
    local = protocol == "udp" and f"{address}:{port}" in _RESOLVERS
    if local or NAME_SERVICE in item.marks:
        return Level.INFO, "the host's own name service", ()
    if port == 0:
        return Level.INFO, "an address it looked up without sending", ()
    where = address_class(address)
    return (
        Level.HIGH,
        f"a connection it opened itself to a peer it never had ({where})",
        ("T1071", "T1041", "AML.T0072"),
    )


def _listener(item: Item, known: Repertoire) -> Verdict:
    protocol, address, port = split_endpoint(item.item)
    if protocol == "unix":
        return Level.LOW, "a local socket it never offered", ("T1559",)
    if known.other_role_knows(item):
        return Level.LOW, "a port another process of it listens on", ()
    if protocol == "udp" and (port == 0 or "<ephemeral>" in generalise(item, sensitive=False)):
        return Level.LOW, "a passing datagram port", ()
    passing = port is not None and port >= EPHEMERAL_PORT_FIRST
    if "wildcard" in item.marks:
        level = Level.HIGH if passing else Level.CRITICAL
        return level, "a port open to every network, which it never listened on", _DOOR
    if address_class(address) == "loopback" and passing:
        return Level.MEDIUM, "a port of the kernel's choice, open to this host alone", _DOOR
    return Level.HIGH, "a port it never listened on", _DOOR


def _local_caller(item: Item, known: Repertoire) -> Verdict:
    program = item.item.removeprefix("accept unix by ").rpartition(" uid ")[0]
    if "other-user" in item.marks:
        return Level.MEDIUM, "another user's program on its local socket", ("T1559", "AML.T0049")
    if program == "?":
        return Level.INFO, "a caller on its local socket that had ended by then", ()
    if program in known.programs:
        return Level.INFO, "a program of its own on its local socket", ()
    return Level.LOW, "a program that never called on its local socket", ("T1559",)


def _call(item: Item) -> Verdict:
    """Judge a call of no sensitive class; sockets by what they are for."""
    if _QUIET_CALLS.search(item.item):
        return Level.INFO, "a socket that libraries use to ask for addresses and routes", ()
    if item.item.startswith("socket vsock"):
        return Level.MEDIUM, "a socket to the host of a virtual machine", ("T1095",)
    return Level.LOW, "a system call it never made", ()


_LOOKED_AT: Final = re.compile(
    r"^(?:GET|HEAD|OPTIONS) /(?:|\*|favicon\.ico|robots\.txt|docs|openapi\.json|version"
    r"|(?:.*/)?(?:health[a-z_]*|live[a-z]*|ready[a-z]*|ping|metrics|status))/?$"
)
"""What monitors and load balancers ask of any server."""


def _request(item: Item, known: Repertoire) -> Verdict:
    if inputs.is_drift(item.item):
        words = f"{inputs.REASON} ({item.other})" if item.other else inputs.REASON
        return Level.MEDIUM, words, inputs.TECHNIQUES
    if item.item in REASONS:
        words = f"{REASONS[item.item]} ({item.other})" if item.other else REASONS[item.item]
        return Level.MEDIUM, words, TECHNIQUES[item.item]
    if _LOOKED_AT.search(item.item):
        return Level.INFO, "a look at its health, which any server is asked for", ()
    if not any(ItemKind.ENDPOINT in kinds for kinds in known.keys.values()):
        return Level.INFO, "a request; none was read while it was learnt", ()
    return Level.LOW, "a request of a kind it never served", ("AML.T0040",)


_BY_KIND: Final[dict[ItemKind, Callable[[Item, Repertoire], Verdict]]] = {
    ItemKind.EXEC: _program,
    ItemKind.FILE: _file,
    ItemKind.MODEL: _file,
    ItemKind.WRITE: _write_or_change,
    ItemKind.LIBRARY: _library,
    ItemKind.PEER: _peer,
    ItemKind.LISTEN: _listener,
    ItemKind.PROBE: _probe,
    ItemKind.ENDPOINT: _request,
    ItemKind.GPU: _gpu,
    ItemKind.SYSCALL: _act,
    ItemKind.CAPABILITY: _act,
}
