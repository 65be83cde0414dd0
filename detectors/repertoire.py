"""What each role of a workload was seen to do: the set that novelty is measured against."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from detectors.attempts import ATTEMPTS
from detectors.changes import CHANGES
from detectors.generalise import (
    EPHEMERAL_PORT_FIRST,
    address_class,
    generalise,
    split_endpoint,
)
from detectors.rules import models
from detectors.sensitive import sensitivity
from detectors.window import COPIES, Item, ItemKind, Phase, is_stranger

MAX_KEYS: Final = 16_384
"""Per role and kind: two and a half times the most files any measured server opened (6,530)."""

MANY_CHILDREN: Final = 48
"""As many different names in one directory stand for "any name in it"."""

MANY_PORTS: Final = 16
"""As many ephemeral ports of one address stand for any of them."""

ANOTHER_TIME_NS: Final = 10_000_000_000
"""Apart: as `detectors.judge` has it, an attacker's steps follow each other within ten seconds."""

_FOLDER_KINDS: Final = frozenset(
    {ItemKind.FILE, ItemKind.WRITE, ItemKind.LIBRARY, ItemKind.MODEL} | {ItemKind.ENDPOINT}
)
_KEY_MARKS: Final = (
    *("stdio-socket", "memfd", "deleted", "foreign", "anonymous", "mprotect"),
    *("kernel-name", "unlinked", "replaced", "uncaused", "stranger", "other-owner", "executable"),
    *("ld-preload", "ld-audit", "written"),
    *sorted(CHANGES),
    *ATTEMPTS,
    *("set-id", "device", "immutable", "file-capabilities", "security-attribute"),
    *(rule.mark for rule in models.RULES),
)
"""What makes the same text another thing."""


def key_of(item: Item) -> tuple[str, bool]:
    """Return the key an item is learnt under, and whether it is sensitive."""
    pid = item.pid if item.item.startswith("/proc/") else 0
    role = item.role if is_stranger(item.role) else ""
    led_to = item.other if "symlinked" in item.marks else ""
    return _key_of(item.kind, item.item, pid, item.marks, (role, led_to, item.host_path))


@lru_cache(maxsize=8192)
def _key_of(
    kind: ItemKind, text: str, pid: int, marks: frozenset[str], also: tuple[str, str, str]
) -> tuple[str, bool]:
    """Do the work of `key_of` once for things that are asked about in several ways."""
    role, other, host_path = also
    item = Item(kind, text, role, 0, pid, marks=marks, other=other, host_path=host_path)
    sensitive = sensitivity(item) is not None
    key = generalise(item, sensitive=sensitive)
    told = [mark for mark in _KEY_MARKS if mark in marks]
    return (f"{key} [{','.join(told)}]" if told else key), sensitive


def _marked(item: Item) -> str:
    """Return the key as it would be if the item were of no sensitive class."""
    told = [mark for mark in _KEY_MARKS if mark in item.marks]
    return f"{generalise(item, sensitive=False)} [{','.join(told)}]"


def folder_of(path: str) -> str:
    """Return the directory part of a path, without a trailing slash."""
    return path.rpartition("/")[0]


def _place_of(key: str) -> str:
    """Return a key's directory with its marks: writes in it say nothing of removals in it."""
    path, bracket, marks = key.rpartition(" [")
    if bracket and marks.endswith("]"):
        return f"{folder_of(path)} [{marks}"
    return folder_of(key)


Place = tuple[str, ItemKind, str]
"""Role, kind and key."""


@dataclass(slots=True)
class Repertoire:
    """Keys by role and kind. Bounded: what does not fit is counted in `refused`.

    Attributes:
        keys: By role and kind.
        folders: How many keys lie in each directory, by kind; for peers, in each address.
        open_folders: By role, those with so many that any other belongs to them.
        programs: Executables that did anything: the workload's own.
        phases: Of the server's life that were learnt.
        apart: What is dangerous by itself and was never seen in the steady state: the phases it
            was seen in, by role, kind and key. A shell that looks for libraries when a server
            starts excuses none in a server that serves.
        once: What would alarm, was seen at one time only while it was learnt, and when,
            CLOCK_MONOTONIC: maybe an attack that was learnt with the rest.
        refused: Keys that did not fit.
    """

    keys: dict[str, dict[ItemKind, set[str]]] = field(default_factory=dict)
    folders: dict[ItemKind, dict[str, int]] = field(default_factory=dict)
    open_folders: dict[str, set[str]] = field(default_factory=dict)
    programs: set[str] = field(default_factory=set)
    phases: set[Phase] = field(default_factory=set)
    apart: dict[Place, set[Phase]] = field(default_factory=dict)
    once: dict[Place, int] = field(default_factory=dict)
    refused: int = 0
    _near: dict[ItemKind, set[str]] = field(init=False)

    def __post_init__(self) -> None:
        """Derive which directories have a known one in them, or are known."""
        self._near = {
            kind: {near for folder in folders for near in (folder, folder_of(folder))}
            for kind, folders in self.folders.items()
        }

    def add(self, item: Item, phase: Phase = Phase.STEADY) -> None:
        """Learn one item; something sensitive only for the phase it was seen in.

        What was seen in the steady state is ordinary at any time.
        """
        key, sensitive = key_of(item)
        if item.exe and not is_stranger(item.role):
            self.programs.add(item.exe)
        place = (item.role, item.kind, key)
        known = key in self.keys.get(item.role, {}).get(item.kind, ())
        if phase is Phase.STEADY:
            self.apart.pop(place, None)
        elif place in self.apart:
            self.apart[place].add(phase)
        elif sensitive and not known and not is_stranger(item.role):
            self.apart[place] = {phase}
        self.add_key(item.role, item.kind, key, sensitive=sensitive)

    def doubt(self, item: Item) -> None:
        """Note that something that would alarm is about to be learnt, or was seen once more."""
        place = (item.role, item.kind, key_of(item)[0])
        if not self.knows(item):
            self.once[place] = item.time_ns
        elif item.time_ns - self.once.get(place, item.time_ns) >= ANOTHER_TIME_NS:
            del self.once[place]

    def believe(self, item: Item) -> None:
        """Take it as ordinary without doubt, and at any time: somebody approved it."""
        self.add(item)
        self.once.pop((item.role, item.kind, key_of(item)[0]), None)

    def doubts(self, item: Item) -> bool:
        """Tell whether something known was seen at one time only."""
        if not self.once:
            return False
        roles = [role for role in (item.role, COPIES.get(item.role)) if role]
        places = [(role, item.kind, key_of(replace(item, role=role))[0]) for role in roles]
        seen = [at for at in places if at[2] in self.keys.get(at[0], {}).get(item.kind, ())]
        return bool(seen) and all(place in self.once for place in seen)

    def add_key(self, role: str, kind: ItemKind, key: str, *, sensitive: bool) -> None:
        """Learn one key; used by `add`, by approval and when reading a baseline back."""
        known = self.keys.setdefault(role, {}).setdefault(kind, set())
        if key in known:
            return
        if len(known) >= MAX_KEYS:
            self.refused += 1
            return
        known.add(key)
        if kind in _FOLDER_KINDS and not sensitive and _in_folder(kind, key):
            self._count_folder(role, kind, _place_of(key))
        elif kind is ItemKind.PEER and not sensitive:
            self._count_port(role, key)

    def add_known(self, role: str, kind: ItemKind, key: str) -> None:
        """Learn a key that another repertoire holds."""
        text, _, marks = key.removesuffix("]").partition(" [")
        told = frozenset(marks.split(",")) if marks else frozenset()
        found = sensitivity(Item(kind, text, role, 0, 0, marks=told))
        self.add_key(role, kind, key, sensitive=found is not None)

    def _count_folder(self, role: str, kind: ItemKind, folder: str) -> None:
        children = self.folders.setdefault(kind, {})
        children[folder] = children.get(folder, 0) + 1
        self._near.setdefault(kind, set()).update((folder, folder_of(folder)))
        if folder and children[folder] >= MANY_CHILDREN:
            self.open_folders.setdefault(role, set()).add(f"{kind}:{folder}")

    def _count_port(self, role: str, key: str) -> None:
        family = _port_family(key)
        if family is None:
            return
        children = self.folders.setdefault(ItemKind.PEER, {})
        children[family] = children.get(family, 0) + 1
        if children[family] >= MANY_PORTS:
            self.open_folders.setdefault(role, set()).add(family)

    def knows(self, item: Item) -> bool:
        """Tell whether this role, or what it is a copy of, was seen to do this. Changes nothing."""
        if self._knows(item):
            return True
        original = COPIES.get(item.role)
        return original is not None and self._knows(replace(item, role=original))

    def phases_of(self, item: Item) -> frozenset[Phase]:
        """Return in which phases alone something known was seen; empty: it is known for any."""
        if not self.apart:
            return frozenset()
        found: set[Phase] = set()
        for role in filter(None, (item.role, COPIES.get(item.role))):
            like = replace(item, role=role)
            if not self._knows(like):
                continue
            only = self.apart.get((role, item.kind, key_of(like)[0]))
            if not only:
                return frozenset()
            found |= only
        return frozenset(found)

    def _knows(self, item: Item) -> bool:
        key, sensitive = key_of(item)
        known = self.keys.get(item.role, {}).get(item.kind, ())
        if key in known:
            return True
        if sensitive:
            return False
        opened = self.open_folders.get(item.role, ())
        if item.kind in _FOLDER_KINDS:
            return f"{item.kind}:{_place_of(key)}" in opened
        if item.kind is ItemKind.PEER:
            return _port_family(key) in opened
        return False

    def other_role_knows(self, item: Item) -> bool:
        """Tell whether any role was seen to do this."""
        key, _ = key_of(item)
        return any(key in kinds.get(item.kind, ()) for kinds in self.keys.values())

    def knows_used(self, item: Item, kind: ItemKind) -> bool:
        """Tell whether any role was seen to read, or write, the file that this item changes."""
        key = generalise(replace(item, kind=kind), sensitive=False)
        return any(key in kinds.get(kind, ()) for kinds in self.keys.values())

    def knows_place(self, item: Item) -> bool:
        """Tell whether the same change was made to something in this item's directory."""
        place = _place_of(_marked(item))
        return place in self.folders.get(ItemKind.WRITE, ())

    def knows_place_beside(self, item: Item) -> bool:
        """Tell whether the same change was made in a directory beside this item's."""
        place = _place_of(_marked(item))
        above, marks = folder_of(place), place.rpartition(" [")[2]
        return above.count("/") > 1 and any(
            folder_of(known) == above and known.endswith(f" [{marks}")
            for known in self.folders.get(ItemKind.WRITE, ())
        )

    def knows_folder(self, path: str, kinds: Iterable[ItemKind]) -> bool:
        """Tell whether something directly in this path's directory was used as one of `kinds`."""
        folder = folder_of(path)
        return any(folder in self.folders.get(kind, ()) for kind in kinds)

    def knows_neighbour(self, path: str, kinds: Iterable[ItemKind]) -> bool:
        """Tell whether a directory beside this path's directory was used as one of `kinds`.

        A new version of a model lies beside the old one. Needs three levels above, so that
        being beside ``/srv/x`` or ``/home/x`` is nothing.
        """
        above = folder_of(folder_of(path))
        if above.count("/") < 2:  # noqa: PLR2004 - the rule of the docstring
            return False
        return any(above in self._near.get(kind, ()) for kind in kinds)

    def knows_below(self, path: str, kinds: Iterable[ItemKind]) -> bool:
        """Tell whether anything below this directory was used as one of `kinds`.

        `path` ends with a slash, and names two levels at least: above ``/srv/`` or ``/home/`` is
        everybody.
        """
        if path.count("/") <= 2:  # noqa: PLR2004 - the rule of the docstring
            return False
        return any(
            folder.startswith(path) for kind in kinds for folder in self.folders.get(kind, ())
        )

    def __iter__(self) -> Iterator[tuple[str, ItemKind, str]]:
        """Yield role, kind and key in a stable order."""
        for role in sorted(self.keys):
            for kind in sorted(self.keys[role]):
                for key in sorted(self.keys[role][kind]):
                    yield role, kind, key

    def __len__(self) -> int:
        """Return how many keys are known."""
        return sum(len(known) for kinds in self.keys.values() for known in kinds.values())


def _in_folder(kind: ItemKind, key: str) -> bool:
    """Tell whether this is a file or a path that has neighbours; memory has none."""
    if kind is ItemKind.ENDPOINT:
        return "/" in key
    return key.startswith("/") and not key.startswith("/memfd:")


def _port_family(key: str) -> str | None:
    """Return the family of a peer on an ephemeral port: any ephemeral port of that address."""
    if key.startswith(("accept ", "unix ")):
        return None
    refused = "refused " if key.startswith("refused ") else ""
    protocol, address, port = split_endpoint(key.removeprefix(refused))
    if port is None or port < EPHEMERAL_PORT_FIRST or address_class(address) == "public":
        return None
    return f"{refused}{protocol} {address}:<ephemeral>"
