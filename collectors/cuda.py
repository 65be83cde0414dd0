"""The GPU driver's libraries that processes map, and the GPU code that they load.

Whoever reads here waits for disks and for other processes' memory: a worker's business.
"""

import hashlib
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from probes.cuda import prefix_hash

DRIVER: Final = re.compile(r"^libcuda\.so(?:\.|$)")
"""The driver's library under its names: libcuda.so.1, and with the driver's version behind it."""

BESIDE: Final = re.compile(r"^lib(?:nvidia-|cudadebugger|nvcuvid)[\w-]*\.so(?:\.|$)")
"""Libraries that the driver brings beside it: what lists processes, compiles and debugs."""

MOST_CODE_BYTES: Final = 64 << 20
"""Larger code is known by so much of its beginning, and says so."""

_LINE: Final = re.compile(
    r"^([0-9a-f]+)-([0-9a-f]+) ..(.). ([0-9a-f]+) ([0-9a-f]+):([0-9a-f]+) (\d+) *(.*)$",
    re.MULTILINE,
)
_FATBIN: Final = struct.Struct("<IHHQ")
_FATBIN_MAGIC: Final = 0xBA55ED50
_ELF: Final = b"\x7fELF"
_ELF_TABLES: Final = struct.Struct("<QQIHHHHHH")  # from e_phoff; e_flags and sizes behind
_ELF_TABLES_AT: Final = 32
_PTX_STEP: Final = 1 << 16

File = tuple[int, int]
"""Device, as `os.stat` numbers it, and inode."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """One executable mapping of a file.

    Attributes:
        offset: In the file, of its first byte.
        file: Its device and inode, as the mapping has them.
    """

    start: int
    end: int
    offset: int
    file: File
    path: str


def mappings(pid: int) -> list[Mapped]:
    """Executable mappings of a process's files; none once it has ended."""
    try:
        text = Path(f"/proc/{pid}/maps").read_text("utf-8", "replace")
    except OSError:
        return []
    return [
        Mapped(int(start, 16), int(end, 16), int(offset, 16),
               (os.makedev(int(major, 16), int(minor, 16)), int(inode)), path)
        for start, end, code, offset, major, minor, inode, path in _LINE.findall(text)
        if code == "x" and inode != "0"
    ]  # fmt: skip


def drivers(pid: int) -> tuple[dict[File, str], dict[File, str]]:
    """Paths by file of what a process maps of the driver: its library, and those beside it."""
    found = {one.file: one.path for one in mappings(pid)}
    named = {file: path.rpartition("/")[2] for file, path in found.items()}
    return (
        {file: path for file, path in found.items() if DRIVER.match(named[file])},
        {file: path for file, path in found.items() if BESIDE.match(named[file])},
    )


def opened(pid: int, file: File, path: str) -> int | None:
    """A descriptor of the file that a process maps, as it lies in its own mounts.

    Another file may lie under that name by now: None then. Of an overlay's file the mapping
    shows the numbers of the file below, so there the name alone decides.
    """
    try:
        fd = os.open(f"/proc/{pid}/root{path}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    found = os.fstat(fd)
    if (found.st_dev, found.st_ino) == file or os.major(found.st_dev) == 0 == os.major(file[0]):
        return fd
    os.close(fd)
    return None


def place(pid: int, address: int) -> tuple[File, int] | None:
    """The file and the offset in it of an address of a process; None where no file is."""
    for one in mappings(pid):
        if one.start <= address < one.end:
            return one.file, address - one.start + one.offset
    return None


@dataclass(frozen=True, slots=True)
class Code:
    """GPU code as a process handed it to the driver.

    Attributes:
        form: cubin, fatbin, ptx; "code" for what is none of these.
        digest: SHA-256, hexadecimal; "" where it could not be read.
        size: Bytes hashed.
        whole: Whether that was all of it.
        changed: Whether its beginning was another one at the moment of the call.
    """

    form: str
    digest: str
    size: int
    whole: bool
    changed: bool

    @property
    def words(self) -> str:
        """As a verdict names it."""
        if not self.digest:
            return f"{self.form} that was gone before it was read"
        some = "" if self.whole else "first "
        return f"{self.form} sha256:{self.digest} ({some}{self.size} bytes)"


def code(pid: int, address: int, size: int, prefix: int, prefix_bytes: int) -> Code:
    """Read and hash GPU code in a process's memory.

    Args:
        pid: Whose.
        address: Where it begins.
        size: In bytes, if the call said it; 0: its own headers say it.
        prefix: Hash of its first bytes when the call was made; 0: not read then.
        prefix_bytes: How many those are.
    """
    try:
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return Code("code", "", 0, whole=False, changed=False)
    try:
        head = _at(memory, address, max(prefix_bytes, 64))
        form, own = _measure(memory, address, head)
        whole = size or own
        data = _at(memory, address, min(whole, MOST_CODE_BYTES))
    finally:
        os.close(memory)
    changed = bool(prefix) and prefix_hash(head[:prefix_bytes]) != prefix
    digest = hashlib.sha256(data).hexdigest() if data else ""
    return Code(form, digest, len(data), whole=len(data) == whole, changed=changed)


def _measure(memory: int, address: int, head: bytes) -> tuple[str, int]:
    """What the code is, and its size by its own headers; an unknown form counts as its head."""
    if len(head) >= _FATBIN.size and _FATBIN.unpack_from(head)[0] == _FATBIN_MAGIC:
        _, _, header_bytes, body_bytes = _FATBIN.unpack_from(head)
        return "fatbin", header_bytes + body_bytes
    if head.startswith(_ELF) and len(head) >= _ELF_TABLES_AT + _ELF_TABLES.size:
        segments_at, sections_at, _, _, segment, segments, section, sections, _ = (
            _ELF_TABLES.unpack_from(head, _ELF_TABLES_AT)
        )
        # The section table is the last thing in what ptxas writes; segments follow it in some.
        ends = (sections_at + section * sections, segments_at + segment * segments)
        return "cubin", max(ends)
    if head.lstrip()[:2] in {b"//", b".v", b"/*"}:
        return "ptx", _text_bytes(memory, address)
    return "code", len(head)


def _text_bytes(memory: int, address: int) -> int:
    """Length of a text that ends with NUL."""
    length = 0
    while length < MOST_CODE_BYTES:
        step = _at(memory, address + length, _PTX_STEP)
        end = step.find(b"\0")
        if end >= 0 or len(step) < _PTX_STEP:
            return length + (end if end >= 0 else len(step))
        length += len(step)
    return length


def _at(memory: int, address: int, size: int) -> bytes:
    """Bytes of a process's memory, as many as are there."""
    read = bytearray()
    while len(read) < size:
        try:
            step = os.pread(memory, min(size - len(read), 1 << 20), address + len(read))
        except (OSError, OverflowError):
            break
        if not step:
            break
        read += step
    return bytes(read)
