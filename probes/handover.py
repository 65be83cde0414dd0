"""One object's place taken by another, with the maps that go on and a gap that is measured.

The new programs are verified before anything of the old is touched. Maps of the same
layout are shared; for the others new ones are made beside them and filled, `contained`
first, so that who is contained stays so. Then each hook changes hands: a cgroup's and an
iterator's in one step of the kernel; an LSM hook by the new one before the old one goes; a
tracepoint by the old one first, since both at once would count twice.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from probes import layout, libbpf, schema
from probes.attachments import Attachment, opened, pinned_anew, program_pin, types_of
from probes.errors import ProbeError
from probes.holding import LINKS, cgroup_root
from probes.maps import BpfMap
from probes.ring import Ring

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from probes.schema import Schema

NEXT: Final = "next"
BEFORE: Final = "before"
TYPES: Final = "types"
_WITNESS: Final = "program"
"""A program of the object before, pinned beside its maps: it keeps the types they are of."""

_COPIED: Final = {
    "contained": ("", "containment"),
    "members": ("", "member"),
    "modes": ("", "workload_mode"),
    "sensitive": ("file_key", ""),
    "protected_files": ("file_key", ""),
    "publishers": ("file_key", ""),
    "seen": ("seen_key", ""),
}
"""Maps whose entries are carried over, in this order, by the structs of their key and value."""

_REBUILT: Final = {
    "tasks": "the last six calls of each thread",
    "grams": "sequences that were counted and not told",
    "sockets": "who opened the connections that are open",
    "streams": "requests under way on open connections",
    "multiplexes": "what connections of HTTP/2 compress against",
    "routes": "requests by route",
    "sketches": "sketches of requests' bodies that were not told",
    "clients": "requests by client",
    "crowds": "records counted by directory, and not told yet,",
    "paces": "the allowances of workloads",
}
_SEQUENCES: Final = ("grams", "gram_counts")
"""Two halves of one table: where the places are others, so are the counts'."""

_MS: Final = 1_000_000
_CGROUP_SECTION: Final = "cgroup"
_ITERATOR_SECTION: Final = "iter/"
_LSM_SECTION: Final = "lsm"


@dataclass(slots=True)
class Handover:
    """How it went.

    Attributes:
        notes: What could not be carried over.
        gap_ms: Longest time in which one hook had no program.
        took_ms: From the first hook that changed hands to the last.
        changed: Maps that were made anew.
    """

    notes: list[str] = field(default_factory=list)
    gap_ms: float = 0.0
    took_ms: float = 0.0
    changed: tuple[str, ...] = ()


class Before:
    """What is left of the object before: maps that the present one made anew, until they are told.

    Attributes:
        schema: Types of that object.
        maps: By name.
        ring: Its records that were not read; None where the ring goes on.
    """

    def __init__(self, pins: Path) -> None:
        """Open what a hand-over left, by this daemon or one that did not come to tell it."""
        self._place = pins / BEFORE
        program = opened(self._place / _WITNESS, "prog")
        if program is None:
            raise ProbeError("tell what the object before counted", "none of its programs is left")
        self.schema: Schema = layout.kernel_schema(types_of(program), self._place / TYPES)
        os.close(program)
        names = {pin.name for pin in self._place.iterdir()} - {_WITNESS, TYPES}
        self.maps = {name: BpfMap.pinned(self._place, name) for name in names}
        self.ring = Ring(self.maps["ring"], self.schema) if "ring" in names else None

    def close(self, *, told: bool) -> None:
        """Let go; what is told loses its name, and the kernel frees it."""
        for each in self.maps.values():
            each.close()
        if told:
            shutil.rmtree(self._place, ignore_errors=True)


class Takeover:
    """Takes over from whatever is pinned, or from nothing.

    Args:
        pins: Where maps and links are named.
        path: The new object.
        names: Of its maps.
    """

    def __init__(self, pins: Path, path: Path, names: Iterable[str]) -> None:
        """Open what is there, and say what of it can go on."""
        self._pins, self._next, self._before = pins, pins / NEXT, pins / BEFORE
        self._path = path
        self.done = Handover()
        if self._next.is_dir():
            self.done.notes.append("a hand-over before this one was cut short: its counts are lost")
        for place in (self._next, self._before):
            shutil.rmtree(place, ignore_errors=True)
        self._names = tuple(names)
        self._types = schema.load(path)
        links = pins / LINKS
        pinned = (Attachment.pinned(p) for p in (links.iterdir() if links.is_dir() else ()))
        self._old_links = {each.name: each for each in pinned if each is not None}
        self._old: dict[str, BpfMap] = {}
        self._old_types: Schema | None = None
        for name in self._names:
            fd = opened(pins / name, "map")
            if fd is not None:
                self._old[name] = BpfMap(fd, name)

    def place_maps(self, loading: libbpf.Object) -> None:
        """Decide for each map whether it goes on; called before the object is loaded."""
        with suppress(ProbeError):
            self._old_types = self._types_before()
        changed = [
            n
            for n, old in self._old.items()
            if n in loading.maps and not self._fits(loading, n, old)
        ]
        if set(_SEQUENCES) & set(changed):
            changed += [n for n in _SEQUENCES if n in self._old and n not in changed]
        self.done.changed = tuple(changed)
        loading.pin_maps(self._pins)
        if changed:
            self._next.mkdir(mode=0o700)
        for name in changed:
            loading.pin_map(name, self._next / name)

    def _types_before(self) -> Schema | None:
        """Of an attached program; where none is, of a map, which may be older still."""
        kept = self._pins / TYPES
        if self._old_links:
            program = next(iter(self._old_links.values())).program
            return layout.kernel_schema(types_of(program), kept)
        meta = self._old.get("meta")
        return None if meta is None else layout.kernel_schema(meta.btf_id, kept)

    def _fits(self, loading: libbpf.Object, name: str, old: BpfMap) -> bool:
        if self._old_types is None:
            return False
        before = layout.of_map(old, self._old_types)
        now = layout.of_object(loading, name, self._types)
        extended = dict(before.columns).items() <= dict(now.columns).items()
        same_enums = before.columns == now.columns or (extended and name in {"ring", "seen"})
        return before.numbers == now.numbers and before.types == now.types and same_enums

    def give_up(self) -> None:
        """The new object was refused: the old one goes on as if nothing had been."""
        shutil.rmtree(self._next, ignore_errors=True)
        self.close()

    def swap(self, loaded: libbpf.Object, wanted: set[str]) -> Handover:
        """Fill the new maps, change hands at every hook, and name everything anew."""
        for name in self.done.changed:
            self._carry(name)
        links = self._pins / LINKS
        links.mkdir(mode=0o700, exist_ok=True)
        old, self._old_links = self._old_links, {}
        if old and any(map(_told_by_reader, self.done.changed)):
            for witness in (one.program for one in old.values() if one.program >= 0):
                pinned_anew(witness, self._before / _WITNESS)
                break
        rebuilt = {"tasks", "members", "sockets"} & set(self.done.changed)
        began_ns = time.monotonic_ns()
        with ExitStack() as stack:
            root = os.open(cgroup_root(), os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, root)
            iterators = {n for n in wanted if loaded.section(n).startswith(_ITERATOR_SECTION)}
            for program in (*sorted(iterators), *sorted(wanted - iterators)):
                if program not in iterators and iterators:
                    self._adopt(iterators if rebuilt else set())
                    iterators, began_ns = set(), time.monotonic_ns()
                self._take_hook(loaded, program, old.pop(program, None), root)
            for name in {pin.name for pin in links.iterdir()} - wanted:
                (links / name).unlink()
                program_pin(links / name).unlink(missing_ok=True)
            for attachment in old.values():
                attachment.close()
        self.done.took_ms = (time.monotonic_ns() - began_ns) / _MS
        if rebuilt:
            for name in {"members"} & set(self.done.changed):
                self._carry(name, again=True)
            self._adopt({"adopt_tasks", "adopt_sockets"})
        self._rename()
        self.close()
        return self.done

    def _adopt(self, iterators: set[str]) -> None:
        """Tag who runs in the maps that are new, before and after the hooks change hands."""
        for name in sorted(iterators, reverse=True):
            for _ in range(16):
                if not (self._pins / LINKS / name).read_bytes():
                    break

    def _take_hook(
        self, loaded: libbpf.Object, program: str, old: Attachment | None, root: int
    ) -> None:
        pin, section = self._pins / LINKS / program, loaded.section(program)
        in_cgroup = section.startswith(_CGROUP_SECTION)
        at_once = in_cgroup or section.startswith(_ITERATOR_SECTION)
        if old is not None and at_once and not old.cut and old.give_to(loaded.program_fd(program)):
            old.close()
            pinned_anew(loaded.program_fd(program), program_pin(pin))
            return
        lsm = section.startswith(_LSM_SECTION)
        link = loaded.attach(program, root if in_cgroup else None) if lsm else None
        pin.unlink(missing_ok=True)
        gone_ns = time.monotonic_ns()
        if old is not None:
            old.close()  # the last that holds it: its hook is empty when this returns
        if link is None:
            link = loaded.attach(program, root if in_cgroup else None)
            if old is not None:
                gap_ms = (time.monotonic_ns() - gone_ns) / _MS
                self.done.gap_ms = max(self.done.gap_ms, gap_ms)
        link.pin(pin)
        link.close()
        pinned_anew(loaded.program_fd(program), program_pin(pin))

    def _carry(self, name: str, *, again: bool = False) -> None:
        """Copy what can be copied; the rest is said, once."""
        whole = name not in _SEQUENCES or set(_SEQUENCES) <= set(self._old)
        if _told_by_reader(name) and whole:
            return  # told by the reader of the old one, which stays until then
        if name not in _COPIED or self._old_types is None:
            if not again:
                what = _REBUILT.get(name, "its contents")
                self.done.notes.append(f"map {name} has another layout: {what} begin anew")
            return
        old, new = self._old[name], BpfMap.pinned(self._next, name)
        keys, values = old.items()
        for at, struct in enumerate(_COPIED[name]):
            raw = (keys, values)[at]
            if struct:
                kinds = (types.dtype(struct) for types in (self._old_types, self._types))
                raw = layout.fitted(raw, *kinds)
            keys, values = (raw, values) if at == 0 else (keys, raw)
        lost = 0
        for key, value in zip(keys, values, strict=True):
            try:
                if not again or new.get(key.tobytes()) is None:
                    new.set(key.tobytes(), value.tobytes())
            except ProbeError:
                lost += 1
        if lost:
            self.done.notes.append(f"map {name}: {lost} entries found no place in the new one")
        new.close()

    def _rename(self) -> None:
        """The new maps get the names; the old ones stay beside them until they are told."""
        for name in self.done.changed:
            if _told_by_reader(name) and self._before.is_dir():
                (self._pins / name).rename(self._before / name)
            else:
                (self._pins / name).unlink()
            (self._next / name).rename(self._pins / name)
        kept = self._pins / TYPES
        if self._before.is_dir() and kept.exists():
            kept.rename(self._before / TYPES)
        layout.keep_types(self._path, kept)
        if self._next.is_dir():
            self._next.rmdir()

    def close(self) -> None:
        """Let go of the old maps and links."""
        for old in self._old.values():
            old.close()
        for link in self._old_links.values():
            link.close()
        self._old, self._old_links = {}, {}


def _told_by_reader(name: str) -> bool:
    """Whether what a map holds is told once by whoever reads it, and is not copied."""
    return name in layout.TABLES or name in {*_SEQUENCES, "ring"}
