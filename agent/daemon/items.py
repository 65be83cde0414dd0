"""Sightings of the collectors as items for the detectors: the two rooms do not know each other."""

import re
from typing import Final

from agent.daemon.classes import is_gpu, is_shared_memory
from agent.daemon.lineage import Lineage
from collectors.reflexes import KIND as REFLEX
from collectors.sightings import Sighting
from detectors.names import disguise
from detectors.window import Item, ItemKind, stranger
from probes import syscalls

_DENIED: Final = "denied"
_NAME: Final = "name"
_EXIT: Final = "exit"
_FOREIGN: Final = 510
"""As SYSCALL_FOREIGN: which 64-bit call it stands for is not known."""
_TOLD_ENDS: Final = frozenset({"crash", "oom"})
_STRANGER: Final = "stranger"
_INTERPRETER: Final = re.compile(r"/(?:python|perl|ruby|node|java|lua|php|(?:ba|da|z|k|)sh)[\d.]*$")
_KINDS: Final = {
    "exec": ItemKind.EXEC,
    "image": ItemKind.EXEC,
    "file": ItemKind.FILE,
    "write": ItemKind.WRITE,
    "refused-open": ItemKind.FILE,
    "refused-write": ItemKind.WRITE,
    "library": ItemKind.LIBRARY,
    "model": ItemKind.MODEL,
    "approval": ItemKind.MODEL,
    "peer": ItemKind.PEER,
    "listen": ItemKind.LISTEN,
    "syscall": ItemKind.SYSCALL,
    _STRANGER: ItemKind.MODEL,
    _DENIED: ItemKind.PEER,
    _NAME: ItemKind.PEER,
    "probe": ItemKind.PROBE,
    "title": ItemKind.SYSCALL,
    "privilege": ItemKind.CAPABILITY,
    "signal": ItemKind.SYSCALL,
    "shared": ItemKind.FILE,
    _EXIT: ItemKind.PROBE,
    "refused": ItemKind.PEER,
    "request": ItemKind.ENDPOINT,
    "inputs": ItemKind.ENDPOINT,
    "gpu": ItemKind.GPU,
    f"{REFLEX}exec": ItemKind.EXEC,
    f"{REFLEX}connect": ItemKind.PEER,
    f"{REFLEX}secret": ItemKind.FILE,
}


def item_of(sighting: Sighting, role: str, lineage: Lineage) -> Item | None:
    """The item for a sighting; None for what is no novelty by itself, such as an ordinary exit."""
    kind = _KINDS.get(sighting.kind)
    if kind is None or (sighting.kind == _EXIT and not sighting.marks & _TOLD_ENDS):
        return None
    name = _words(sighting)
    if sighting.kind == _STRANGER:
        person = lineage.find(sighting.pid, sighting.ppid)
        role = stranger(person.exe, _script(person.exe, person.cmdline))
        kind = ItemKind.FILE if is_shared_memory(name) else kind
        kind = ItemKind.DEVICE if is_gpu(name) else kind
    exe = name if kind is ItemKind.EXEC else lineage.find(sighting.pid, sighting.ppid).exe
    marks = sighting.marks | _disguise(sighting, exe)
    if sighting.kind == _DENIED:
        marks |= {_DENIED}
    return Item(
        kind,
        name,
        role,
        sighting.time_ns,
        sighting.pid,
        exe,
        marks,
        sighting.count,
        sighting.other,
        sighting.host_path,
    )


def _words(sighting: Sighting) -> str:
    match sighting.kind:
        case "syscall" if sighting.item.isdecimal():
            return _call(int(sighting.item), sighting.marks)
        case "syscall" if "foreign" in sighting.marks:
            return f"foreign {sighting.item}"
        case "exit":
            return sighting.item.partition(" from ")[0]  # who sent it is no part of what happened
        case "name":
            return f"dns {sighting.item}"
        case "refused":
            return f"refused {sighting.item}"
        case _:
            return sighting.item


def _call(number: int, marks: frozenset[str]) -> str:
    name = syscalls.name(number) or str(number)
    if "foreign" not in marks:
        return name
    return "foreign" if number == _FOREIGN else f"foreign {name}"


def _disguise(sighting: Sighting, exe: str) -> frozenset[str]:
    """What a process passes itself off as, by the name that it took or was started under."""
    if sighting.kind == "title":
        return disguise(sighting.item.removeprefix("set-name "), exe)
    if sighting.kind in {"exec", "image"} and sighting.arguments:
        return disguise(sighting.arguments[0], "")
    return frozenset()


def _script(exe: str, cmdline: tuple[str, ...]) -> str:
    """What an interpreter was told to run: one script that was learnt excuses no other."""
    if not _INTERPRETER.search(exe):
        return ""
    return next((word for word in cmdline[1:] if not word.startswith("-")), "")
