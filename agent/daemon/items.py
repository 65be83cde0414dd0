"""Sightings of the collectors as items for the detectors: the two rooms do not know each other."""

from typing import Final

from agent.daemon.lineage import Lineage
from collectors.sightings import Sighting
from detectors.names import disguise
from detectors.window import Item, ItemKind
from probes import syscalls

_DENIED: Final = "denied"
_NAME: Final = "name"
_EXIT: Final = "exit"
_FOREIGN: Final = 510
"""As SYSCALL_FOREIGN: which 64-bit call it stands for is not known."""
_TOLD_ENDS: Final = frozenset({"crash", "oom"})
_KINDS: Final = {
    "exec": ItemKind.EXEC,
    "image": ItemKind.EXEC,
    "file": ItemKind.FILE,
    "write": ItemKind.WRITE,
    "library": ItemKind.LIBRARY,
    "peer": ItemKind.PEER,
    "listen": ItemKind.LISTEN,
    "syscall": ItemKind.SYSCALL,
    _DENIED: ItemKind.PEER,
    _NAME: ItemKind.PEER,
    "probe": ItemKind.PROBE,
    "title": ItemKind.SYSCALL,
    "privilege": ItemKind.CAPABILITY,
    "signal": ItemKind.SYSCALL,
    "shared": ItemKind.FILE,
    _EXIT: ItemKind.PROBE,
    "refused": ItemKind.PEER,
}


def item_of(sighting: Sighting, role: str, lineage: Lineage) -> Item | None:
    """The item for a sighting; None for what is no novelty by itself, such as an ordinary exit."""
    kind = _KINDS.get(sighting.kind)
    if kind is None or (sighting.kind == _EXIT and not sighting.marks & _TOLD_ENDS):
        return None
    name = _words(sighting)
    exe = name if kind is ItemKind.EXEC else lineage.find(sighting.pid, sighting.ppid).exe
    marks = sighting.marks | _disguise(sighting, exe)
    if sighting.kind == _DENIED:
        marks |= {_DENIED}
    return Item(kind, name, role, sighting.time_ns, sighting.pid, exe, marks, sighting.count)


def _words(sighting: Sighting) -> str:
    match sighting.kind:
        case "syscall" if sighting.item.isdecimal():
            return _call(int(sighting.item), sighting.marks)
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
