"""What the kernel says is attached, and by which programs over which maps.

Pins are names that anybody who may write to bpffs can take away or give to something
else. So the agent holds descriptors of its own: what is held stays attached without a
name, and what it should be is known by the kernel's numbers. Source of the layouts:
include/uapi/linux/bpf.h, the stable beginnings of `bpf_link_info` and `bpf_prog_info`.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from probes import libbpf

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LINK: Final = np.dtype(
    [
        ("type", "<u4"),
        ("id", "<u4"),
        ("program", "<u4"),
        ("unused", "<u4"),
        ("cgroup", "<u8"),  # of a cgroup's link; 0 once it is detached
        ("attach_type", "<u4"),  # of a cgroup's link
        ("reserved", "<u4"),
    ]
)
_PROGRAM: Final = np.dtype(
    [
        ("type", "<u4"),
        ("id", "<u4"),
        ("tag", "V8"),
        ("sizes", "<u4", 2),
        ("code", "<u8", 2),
        ("load_time", "<u8"),
        ("uid", "<u4"),
        ("map_count", "<u4"),
        ("maps", "<u8"),
        ("name", "S16"),
        ("more", "V48"),
        ("btf", "<u4"),  # of the object it came with
        ("rest", "<u4"),
    ]
)
PROGRAMS: Final = "programs"
_CGROUP_LINK: Final = 3  # BPF_LINK_TYPE_CGROUP
_MOST_MAPS: Final = 64  # one of our programs uses a dozen


def described(
    fd: int, dtype: np.dtype[np.void], *, maps: NDArray[np.uint32] | None = None
) -> np.void:
    """What the kernel says of an object, by its descriptor.

    Raises:
        ProbeError: it is no such object.
    """
    info = np.zeros(1, dtype)
    if maps is not None:
        info["map_count"], info["maps"] = len(maps), maps.ctypes.data
    size = np.array([dtype.itemsize], "<u4")
    code = libbpf.library().bpf_obj_get_info_by_fd(fd, info.ctypes.data, size.ctypes.data)
    if code:
        raise libbpf.failed("describe a BPF object", code)
    found: np.void = info[0]
    return found


def opened(path: Path, kind: str) -> int | None:
    """A descriptor for a pin; None if there is none of that name, or it names another kind.

    Args:
        path: In bpffs.
        kind: `link`, `map` or `prog`.

    Raises:
        ProbeError: it cannot be opened.
    """
    fd = libbpf.library().bpf_obj_get(os.fsencode(path))
    if fd >= 0:
        if str(Path(f"/proc/self/fd/{fd}").readlink()).endswith(kind):
            return int(fd)
        os.close(fd)
        return None
    if fd in (-errno.ENOENT, -errno.ENOTDIR):
        return None
    raise libbpf.failed(f"open {path}", fd)


def pinned_anew(fd: int, path: Path) -> None:
    """Gives an object this name in bpffs, whatever had it before.

    Raises:
        ProbeError: there is no bpffs, or it is not ours to write.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.unlink(missing_ok=True)
    except OSError as error:
        raise libbpf.failed(f"pin {path}", error.errno) from error
    code = libbpf.library().bpf_obj_pin(fd, os.fsencode(path))
    if code:
        raise libbpf.failed(f"pin {path}", code)


def maps_of(program: int) -> list[int]:
    """Ids of the maps that a program (its descriptor) uses."""
    ids = np.zeros(_MOST_MAPS, "<u4")
    count = int(described(program, _PROGRAM, maps=ids)["map_count"])
    return [int(number) for number in ids[:count]]


def types_of(program: int) -> int:
    """The kernel's number for the types of the object that a program (its descriptor) is of."""
    return int(described(program, _PROGRAM)["btf"])


def program_pin(link_pin: Path) -> Path:
    """Where the program of a pinned link is pinned, too.

    The kernel opens a program by its number for CAP_SYS_ADMIN alone, which the unit has not.
    """
    return link_pin.parent.parent / PROGRAMS / link_pin.name


class Attachment:
    """One program at its hook, held by descriptors of this process.

    Attributes:
        name: Of the program.
        program: Its descriptor; negative where it has no pin and the kernel refuses its number.
    """

    def __init__(self, name: str, pin: Path, link: int) -> None:
        """Take a link over as it is now."""
        self.name = name
        self._pin = pin
        self._lib = libbpf.library()
        self.link = link
        facts = described(link, _LINK)
        self._kind, self._cgroup = int(facts["type"]), int(facts["cgroup"])
        self._attach_type = int(facts["attach_type"])
        self.program_id = int(facts["program"])
        self.program = self._open_program()

    def _open_program(self) -> int:
        pinned = opened(program_pin(self._pin), "prog")
        if pinned is not None:
            if int(described(pinned, _PROGRAM)["id"]) == self.program_id:
                return pinned
            os.close(pinned)  # an object took over, and died before it gave its name
        return int(self._lib.bpf_prog_get_fd_by_id(self.program_id))

    @classmethod
    def pinned(cls, pin: Path) -> Attachment | None:
        """Take over what is pinned there; None if nothing is."""
        link = opened(pin, "link")
        return None if link is None else cls(pin.name, pin, link)

    @property
    def in_cgroup(self) -> bool:
        """Whether its hook is a cgroup's: such a link can be cut by others, and updated."""
        return self._kind == _CGROUP_LINK

    @property
    def cut(self) -> bool:
        """Whether it was detached already when it was taken over."""
        return self.in_cgroup and not self._cgroup

    def inspect(self) -> str:
        """What is wrong with it; empty if nothing is."""
        facts = described(self.link, _LINK)
        if self.in_cgroup and not facts["cgroup"]:
            return "was detached from its hook"
        if facts["program"] != self.program_id:
            return "was replaced at its hook by another program"
        pinned = opened(self._pin, "link")
        if pinned is None:
            return "lost its pin"
        try:
            other = described(pinned, _LINK)["id"] != facts["id"]
        finally:
            os.close(pinned)
        return "has its pin's name given to something else" if other else ""

    def heal(self, cgroup: int) -> None:
        """Put it back at its hook and under its name.

        Args:
            cgroup: Descriptor of the root of cgroup v2.

        Raises:
            ProbeError: the kernel refuses.
        """
        facts = described(self.link, _LINK)
        if self.in_cgroup and not facts["cgroup"]:
            link = self._lib.bpf_link_create(self.program, cgroup, self._attach_type, None)
            if link < 0:
                raise libbpf.failed(f"attach {self.name} again", link)
            os.close(self.link)
            self.link = link
        elif facts["program"] != self.program_id:
            code = self._lib.bpf_link_update(self.link, self.program, None)
            if code:
                raise libbpf.failed(f"put {self.name} back", code)
        pinned_anew(self.link, self._pin)
        if self.program >= 0:
            pinned_anew(self.program, program_pin(self._pin))

    def give_to(self, program: int) -> bool:
        """Have another program at this hook in one step of the kernel; False if it has none."""
        return int(self._lib.bpf_link_update(self.link, program, None)) == 0

    def read_iterator(self) -> bytes:
        """Runs an iterator program once and returns what it wrote; needs no pin."""
        fd = self._lib.bpf_iter_create(self.link)
        if fd < 0:
            raise libbpf.failed(f"run iterator {self.name}", fd)
        with os.fdopen(fd, "rb", buffering=0) as reader:
            return b"".join(iter(lambda: reader.read(1 << 16), b""))

    def close(self) -> None:
        """Lets go; what is pinned goes on."""
        os.close(self.link)
        if self.program >= 0:
            os.close(self.program)
