"""Sightings of the collectors as items for the detectors: the two rooms do not know each other."""

from typing import Final

from agent.daemon.lineage import Lineage
from collectors.sightings import Sighting
from detectors.window import Item, ItemKind
from probes import syscalls

_DENIED: Final = "denied"
_NAME: Final = "name"
_KINDS: Final = {
    "exec": ItemKind.EXEC,
    "file": ItemKind.FILE,
    "write": ItemKind.WRITE,
    "library": ItemKind.LIBRARY,
    "peer": ItemKind.PEER,
    "listen": ItemKind.LISTEN,
    "syscall": ItemKind.SYSCALL,
    _DENIED: ItemKind.PEER,
    _NAME: ItemKind.PEER,
    "probe": ItemKind.PROBE,
}


def item_of(sighting: Sighting, role: str, lineage: Lineage) -> Item | None:
    """The item for a sighting; None for what is no novelty by itself, such as an exit."""
    kind = _KINDS.get(sighting.kind)
    if kind is None:
        return None
    name = sighting.item
    if kind is ItemKind.SYSCALL:
        number = int(name)
        name = "foreign" if "foreign" in sighting.marks else syscalls.name(number) or name
    if sighting.kind == _NAME:
        name = f"dns {name}"
    marks = sighting.marks | {_DENIED} if sighting.kind == _DENIED else sighting.marks
    exe = name if kind is ItemKind.EXEC else lineage.find(sighting.pid, sighting.ppid).exe
    return Item(kind, name, role, sighting.time_ns, sighting.pid, exe, marks, sighting.count)
