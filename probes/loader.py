"""Puts the probes into the kernel, or finds them there.

Maps and links are pinned: counting and containment go on when the daemon dies. A
restart with the same object opens the pins and changes nothing; another one takes
over from it as `handover` says.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from probes import classes, huffman, libbpf, schema
from probes.attachments import Attachment, maps_of
from probes.errors import ProbeError
from probes.handover import BEFORE, NEXT, Before, Handover, Takeover
from probes.holding import LINKS, Damage, Holding, pinned_id, recover
from probes.maps import BpfMap
from probes.ring import Ring

if TYPE_CHECKING:
    from probes.schema import Schema

MAPS: Final = (
    "tasks",
    "members",
    "grams",
    "gram_counts",
    "seen",
    "totals",
    "losses",
    "file_bytes",
    "file_classes",
    "suffix_classes",
    "held_files",
    "peer_bytes",
    "peer_connections",
    "uploads",
    "streams",
    "multiplexes",
    "routes",
    "sketches",
    "clients",
    "submitted",
    "paces",
    "crowds",
    "contained",
    "budgets",
    "spent",
    "reflexes",
    "reflex_counts",
    "reflex_allowed",
    "reflex_done",
    "reflex_stops",
    "modes",
    "gpu_majors",
    "sockets",
    "meta",
    "ring",
    "sensitive",
    "protected_files",
    "publishers",
    "refusals",
)
ITERATORS: Final = ("adopt_tasks", "adopt_sockets")
_PORT_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_KERNEL_BTF: Final = Path("/sys/kernel/btf/vmlinux")
_RING_SECTION: Final = "tp_btf/io_uring_"
_CAST: Final = "bpf_rdonly_cast"
_LSM_ORDER: Final = Path("/sys/kernel/security/lsm")
_META_KEY: Final = bytes(4)


@cache
def _has_function(name: str) -> bool:
    """Whether the kernel's BTF has this name: the table is strings between NULs."""
    return b"\0%s\0" % name.encode() in _KERNEL_BTF.read_bytes()


def _object() -> Path:
    """The object for this kernel; probes/file_classes.bpf.c says why there are two."""
    try:
        typed = _has_function(_CAST)
    except OSError:  # no BTF at all: nothing loads, and `agent doctor` says so
        typed = True
    return Path(__file__).with_name("inferward.bpf.o" if typed else "inferward-untyped.bpf.o")


OBJECT: Final = _object()


@dataclass(frozen=True, slots=True)
class Opening:
    """How the probes were found; see `Sensor`."""

    resumed: bool = False
    fresh: bool = False
    handover: Handover | None = None
    damage: tuple[Damage, ...] = ()


def digest(path: Path) -> bytes:
    """SHA-256 of an object file: which probes these are."""
    return hashlib.sha256(path.read_bytes()).digest()


def is_guard(program: str) -> bool:
    """Whether a program denies before the act: those on LSM hooks, `guard*.bpf.c`."""
    return program.startswith("guard_")


def guard_works(path: Path = OBJECT) -> bool:
    """Whether this kernel runs BPF LSM programs, proved by attaching one for a moment.

    The list of security modules alone does not tell: a locked-down kernel may have `bpf`
    in it and refuse every trampoline.
    """
    if "bpf" not in _security_modules():
        return False
    opened = libbpf.Object(path)
    guards = [name for name in opened.programs if is_guard(name)]
    for name in opened.programs:
        if name not in guards[:1]:
            opened.skip(name)
    try:
        opened.load()
        opened.attach(guards[0]).close()
    except ProbeError:
        return False
    finally:
        opened.close()
    return True


def _security_modules() -> list[str]:
    try:
        return _LSM_ORDER.read_text("ascii").strip().split(",")
    except OSError:  # securityfs is not mounted: then nobody can say, and trace is the answer
        return []


def has_hook(section: str) -> bool:
    """False for a tracepoint of io_uring that this kernel calls otherwise, or does not have."""
    return not section.startswith(_RING_SECTION) or _has_tracepoint(section.partition("/")[2])


def _has_tracepoint(name: str) -> bool:
    return _has_function(f"btf_trace_{name}")


def _wanted(path: Path) -> set[str]:
    """The programs of an object that this kernel's tier runs."""
    opened = libbpf.Object(path)
    names = {name for name in opened.programs if has_hook(opened.section(name))}
    opened.close()
    return names if guard_works(path) else {name for name in names if not is_guard(name)}


def remove(pins: Path) -> None:
    """Takes the probes out of the kernel: without pins nothing holds them."""
    shutil.rmtree(pins, ignore_errors=False) if pins.exists() else None


class Sensor:
    """The loaded probes: their maps, their ring, their iterators.

    Attributes:
        resumed: Found attached; nothing was reloaded.
        fresh: Nothing of an earlier agent was there: the first start, or the host's restart.
        handover: How this object took over from another; None where it did not.
        notes: What could not be carried over.
        before: What is left of that other object, to be told; None where nothing is.
        damage: What had been taken away while no agent ran, and is back.
    """

    def __init__(self, pins: Path, path: Path, how: Opening) -> None:
        self.pins = pins
        self.schema: Schema = schema.load(path)
        self.maps = {name: BpfMap.pinned(pins, name) for name in MAPS}
        self.ring = Ring(self.maps["ring"], self.schema)
        self.holding = Holding(pins, self.maps)
        self.tier = "guard" if any(map(is_guard, self.links())) else "trace"
        self.resumed, self.fresh = how.resumed, how.fresh
        self.handover, self.damage = how.handover if not how.fresh else None, how.damage
        self.notes = tuple(how.handover.notes) if how.handover else ()
        self.before: Before | None = None
        if (pins / BEFORE).is_dir():
            try:
                self.before = Before(pins)
            except ProbeError as error:
                self.notes += (str(error),)

    @classmethod
    def open(cls, pins: Path, path: Path = OBJECT) -> Sensor:
        """Finds the probes under `pins`, or loads and attaches them.

        Raises:
            ProbeError: the object is missing, or the kernel refuses it; `number` is EPERM
                where privileges are short.
        """
        if not path.exists():
            raise ProbeError(f"open {path}", "not built (make build)")
        fresh = not (pins / LINKS).is_dir()
        pins.mkdir(parents=True, exist_ok=True, mode=0o700)
        wanted = _wanted(path)
        cut_short = (pins / NEXT).is_dir()  # two generations of programs: no name is wrong
        damage = () if cut_short else tuple(recover(pins, MAPS))
        if _attached(pins, path, wanted):
            return cls(pins, path, Opening(resumed=True, damage=damage)).taught()
        if not fresh and _same_object(pins, path):
            damage += _gone(pins, wanted)
        done = _install(pins, path, wanted)
        return cls(pins, path, Opening(fresh=fresh, handover=done, damage=damage)).taught()

    def taught(self) -> Sensor:
        """Itself, once the kernel knows what files are by the ends of their names."""
        classes.teach(self.maps["suffix_classes"], self.schema)
        return self

    def adopt(self) -> int:
        """Tags running threads and sockets of all members; returns how many threads changed.

        Repeats until a pass changes nothing, so that a fork in between is not missed.
        """
        changed = 0
        for _ in range(16):
            found = len(self.holding.run("adopt_tasks")) // 4
            changed += found
            if not found:
                break
        self.holding.run("adopt_sockets")
        return changed

    def let_go_before(self, *, told: bool) -> None:
        """Close what is left of the object before; once it is told, have the kernel free it."""
        if self.before is not None:
            self.before.close(told=told)
            self.before = None

    def links(self) -> tuple[str, ...]:
        """Programs that are attached."""
        return tuple(self.holding.attachments)

    def close(self) -> None:
        """Closes this process's handles; the probes go on."""
        self.let_go_before(told=False)
        self.holding.close()
        for each in self.maps.values():
            each.close()


def _attached(pins: Path, path: Path, wanted: set[str]) -> bool:
    """True if exactly these programs of this object are attached under `pins`."""
    if not _same_object(pins, path) or not (pins / LINKS).is_dir():
        return False
    here = {entry.name for entry in pins.iterdir()}
    attached = wanted == {pin.name for pin in (pins / LINKS).iterdir()}
    return here.issuperset(MAPS) and attached and not _gone(pins, wanted)


def _same_object(pins: Path, path: Path) -> bool:
    """True if what is loaded under `pins` was made of this object file."""
    try:
        meta = BpfMap.pinned(pins, "meta")
    except ProbeError:
        return False
    stored = np.frombuffer(meta.get(_META_KEY) or b"", schema.load(path).dtype("meta"))
    meta.close()
    return len(stored) == 1 and stored["digest"][0].tobytes() == digest(path)


def _gone(pins: Path, wanted: set[str]) -> tuple[Damage, ...]:
    """Which programs are at no hook any more, or not over the maps that are pinned here."""
    mine = {pinned_id(pins / name) for name in MAPS}
    found = []
    for name in sorted(wanted):
        each = Attachment.pinned(pins / LINKS / name)
        if each is None or each.cut:
            found.append(Damage(name, "was detached while no agent ran"))
        elif each.program < 0 or not mine & set(maps_of(each.program)):
            found.append(Damage(name, "was replaced by another program while no agent ran"))
        if each is not None:
            each.close()
    return tuple(found)


def _install(pins: Path, path: Path, wanted: set[str]) -> Handover:
    """Loads an object and gives it every hook; what was there before goes on until then."""
    takeover = Takeover(pins, path, MAPS)
    loaded = _opened(path, wanted)
    try:
        takeover.place_maps(loaded)
        loaded.load()
    except ProbeError:
        loaded.close()
        takeover.give_up()
        raise
    try:
        done = takeover.swap(loaded, wanted)
    finally:
        loaded.close()
    _sign(pins, path)
    return done


def _opened(path: Path, wanted: set[str]) -> libbpf.Object:
    opened = libbpf.Object(path)
    types = schema.load(path)
    low, high = (int(port) for port in _PORT_RANGE.read_text().split())
    settings = opened.initial_value(_rodata(opened))
    factor = secrets.randbits(64) | 1
    for name, value in (
        ("ephemeral_low", low),
        ("ephemeral_high", high),
        ("route_factor", factor),
        ("acts_denied", int(any(map(is_guard, wanted)))),
        ("reflex_denies", int(any(map(is_guard, wanted)))),
        ("huffman", int.from_bytes(huffman.table().tobytes(), "little")),
    ):
        offset, size = types.variable(".rodata", name)
        settings[offset : offset + size] = list(value.to_bytes(size, "little"))
    for program in set(opened.programs) - wanted:
        opened.skip(program)
    room = types.limit("GRAM_BUCKETS") * types.limit("GRAM_WAYS")
    opened.set_max_entries("gram_counts", room * libbpf.possible_cpus())
    return opened


def _rodata(opened: libbpf.Object) -> str:
    return next(name for name in opened.maps if name.endswith(".rodata"))


def _sign(pins: Path, path: Path) -> None:
    types = schema.load(path)
    entry = np.zeros(1, types.dtype("meta"))
    entry["abi"] = types.limit("ABI_NUMBER")
    entry["digest"] = np.frombuffer(digest(path), np.uint8)
    meta = BpfMap.pinned(pins, "meta")
    meta.set(_META_KEY, entry.tobytes())
    meta.close()
