"""Holds what is attached, notices what was taken away, and puts it back.

What the programs really use is the truth: a pin that names another map is a wrong name,
never a reason to let go of the counts.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from probes.attachments import Attachment, maps_of, opened, pinned_anew
from probes.errors import ProbeError
from probes.maps import BpfMap

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LINKS: Final = "links"
_MOUNTS: Final = Path("/proc/self/mountinfo")
_KERNEL_NAME_BYTES: Final = 15
"""The kernel keeps no more of a map's name."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is not as this agent left it.

    Attributes:
        name: Of the program, of the map, or of the pins' directory.
        words: What happened to it, to be read behind its name.
    """

    name: str
    words: str

    def __str__(self) -> str:
        """As a sentence without its full stop."""
        return f"{self.name} {self.words}"


def cgroup_root() -> Path:
    """Where cgroup v2 is mounted; a hybrid host has it beside v1.

    Raises:
        ProbeError: there is none.
    """
    for line in _MOUNTS.read_text().splitlines():
        fields, _, tail = line.partition(" - ")
        if tail.startswith("cgroup2 "):
            return Path(fields.split()[4])
    raise ProbeError("find cgroup v2", "not mounted: mount -t cgroup2 none /sys/fs/cgroup")


def mounted(kind: str, place: Path | None = None) -> bool:
    """Whether a file system of this kind is mounted; with a place, whether it lies in one."""
    best, found = -1, False
    for line in _MOUNTS.read_text().splitlines():
        fields, _, tail = line.partition(" - ")
        at, here = Path(fields.split()[4]), tail.startswith(f"{kind} ")
        if place is None:
            found |= here
        elif place.is_relative_to(at) and len(at.parts) >= best:
            best, found = len(at.parts), here
    return found


class Holding:
    """Descriptors of every link and map of the loaded probes.

    Args:
        pins: Where they are named.
        maps: By name; they stay the caller's.
    """

    def __init__(self, pins: Path, maps: Mapping[str, BpfMap]) -> None:
        """Take over what is pinned now."""
        self._pins = pins
        self._maps = maps
        found = (Attachment.pinned(pin) for pin in sorted((pins / LINKS).iterdir()))
        self.attachments = {each.name: each for each in found if each is not None}

    def inspect(self) -> list[Damage]:
        """What is not as it was when it was taken over; some 100 cheap system calls."""
        if not mounted("bpf", self._pins):
            return [Damage(str(self._pins), "is no longer in a mounted bpffs")]
        wrong = [(each.name, each.inspect()) for each in self.attachments.values()]
        wrong += [(f"map {name}", self._map_words(each)) for name, each in self._maps.items()]
        return [Damage(name, words) for name, words in wrong if words]

    def _map_words(self, each: BpfMap) -> str:
        pinned = opened(self._pins / each.name, "map")
        if pinned is None:
            return "lost its pin"
        other = BpfMap(pinned, each.name)
        other.close()
        return "" if other.id == each.id else "has its pin's name given to something else"

    def heal(self) -> list[Damage]:
        """Put everything back; returns what could not be, with the kernel's words.

        Nothing is loaded and no map changes: what was counted stays counted.
        """
        left = []
        try:
            cgroup = os.open(cgroup_root(), os.O_RDONLY | os.O_DIRECTORY)
        except (ProbeError, OSError) as error:
            return [Damage("cgroup v2", f"cannot be reached: {error}")]
        try:
            for each in self.attachments.values():
                if each.inspect():
                    each.heal(cgroup)
            for one in self._maps.values():
                if self._map_words(one):
                    pinned_anew(one.fd, self._pins / one.name)
        except ProbeError as error:
            left.append(Damage(str(self._pins), f"could not be put back: {error}"))
        finally:
            os.close(cgroup)
        return left

    def run(self, iterator: str) -> bytes:
        """Run an iterator program; its pin is not needed."""
        return self.attachments[iterator].read_iterator()

    def close(self) -> None:
        """Let go of the links; what is pinned goes on."""
        for each in self.attachments.values():
            each.close()


def recover(pins: Path, names: Iterable[str]) -> list[Damage]:
    """Gives the maps that attached programs use their names back; says which had lost them.

    Args:
        pins: Where an earlier agent left them.
        names: Of the maps.
    """
    links = pins / LINKS
    if not links.is_dir():
        return []
    used: dict[str, BpfMap] = {}
    seen: set[int] = set()
    for pin in links.iterdir():
        each = Attachment.pinned(pin)
        if each is None:
            continue
        for number in set(maps_of(each.program) if each.program >= 0 else ()) - seen:
            seen.add(number)
            with suppress(ProbeError):  # by number for CAP_SYS_ADMIN alone: then it is made anew
                found = BpfMap.numbered(number)
                used.setdefault(found.kernel_name, found)
        each.close()
    damage = []
    for name in names:
        mine = used.get(name[:_KERNEL_NAME_BYTES])
        if mine is not None and pinned_id(pins / name) != mine.id:
            pinned_anew(mine.fd, pins / name)
            damage.append(Damage(f"map {name}", "had lost its name while no agent ran"))
    for found in used.values():
        found.close()
    return damage


def pinned_id(path: Path) -> int | None:
    """The id of the map of this name; None if there is none."""
    fd = opened(path, "map")
    if fd is None:
        return None
    each = BpfMap(fd, path.name)
    each.close()
    return each.id
