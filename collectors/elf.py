"""Where a library's functions lie in its file, from its table of dynamic symbols.

A watched process chooses what it maps, so nothing in the file is believed: every place and
size is held against the file, and the file is read, not mapped, since one that shrinks
would end a reader that maps it. Source: System V ABI, "Object Files"; elf(5).
"""

import os
import stat
import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST_TABLE_BYTES: Final = 8 << 20
"""Of the symbols, and of their names: hundreds of times what the driver's library has."""

MOST_CODE_SEGMENTS: Final = 16
"""Linkers make one or two."""

MOST_NAME_BYTES: Final = 128
"""Of a function's name: a longer one is none that anybody looks for."""

_HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
_IDENTITY: Final = b"\x7fELF\x02\x01"  # 64 bits, little endian
_MACHINE: Final = 62  # EM_X86_64
_SHARED: Final = 3  # ET_DYN
_SEGMENT: Final = np.dtype(
    [("type", "<u4"), ("flags", "<u4"), ("offset", "<u8"), ("address", "<u8"), ("physical", "<u8"),
     ("file_bytes", "<u8"), ("memory_bytes", "<u8"), ("align", "<u8")]
)  # fmt: skip
_SECTION: Final = np.dtype(
    [("name", "<u4"), ("type", "<u4"), ("flags", "<u8"), ("address", "<u8"), ("offset", "<u8"),
     ("bytes", "<u8"), ("link", "<u4"), ("info", "<u4"), ("align", "<u8"), ("entry", "<u8")]
)  # fmt: skip
_SYMBOL: Final = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"),
     ("bytes", "<u8")]
)  # fmt: skip
_LOAD: Final = 1
_EXECUTABLE: Final = 1
_DYNAMIC_SYMBOLS: Final = 11
_STRINGS: Final = 3
_FUNCTION: Final = 2
_STEP: Final = 4096  # symbols turned into Python's numbers at a time


class ElfError(Exception):
    """A file is no library whose functions can be told; its words say what is wrong with it."""


@dataclass(frozen=True, slots=True)
class _Code:
    """One executable part of the file."""

    address: int
    offset: int
    size: int


def functions(file: int, wanted: Container[str]) -> dict[str, int]:
    """Offsets in the file of the functions that a library exports under these names.

    Takes time and memory by `MOST_TABLE_BYTES`, whatever the file says.

    Args:
        file: Descriptor of the library.
        wanted: Names.

    Returns:
        Empty where it exports none of them.

    Raises:
        ElfError: it is no whole library of this machine, or cannot be read.
    """
    size = _size(file)
    header = _read(file, 0, _HEADER.size, size, "its header")
    fields = _HEADER.unpack(header)
    if not header.startswith(_IDENTITY) or fields[1:3] != (_SHARED, _MACHINE):
        raise ElfError("it is no shared library of this machine")
    _, _, _, _, _, segments_at, sections_at, *_ = fields
    segment_bytes, segments, section_bytes, sections = fields[9:13]
    if (segment_bytes, section_bytes) != (_SEGMENT.itemsize, _SECTION.itemsize):
        raise ElfError("the entries of its tables have another size than any linker gives them")
    parts = _table(file, segments_at, segments * segment_bytes, size, _SEGMENT, "its segments")
    pieces = _table(file, sections_at, sections * section_bytes, size, _SECTION, "its sections")
    code = _code(parts, size)
    symbols, names = _symbols(file, pieces, size)
    found: dict[str, int] = {}
    for at, address in _functions(symbols, len(names)):
        name = names[at : at + MOST_NAME_BYTES].partition(b"\0")[0].decode("ascii", "replace")
        if name in wanted and (offset := _in_file(address, code)) is not None:
            found[name] = offset
    return found


def _size(file: int) -> int:
    try:
        found = os.fstat(file)
    except OSError as error:
        raise ElfError(f"it cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise ElfError("it is no regular file")
    return found.st_size


def _code(segments: NDArray[np.void], size: int) -> list[_Code]:
    chosen = segments[(segments["type"] == _LOAD) & (segments["flags"] & _EXECUTABLE != 0)]
    if len(chosen) > MOST_CODE_SEGMENTS:
        raise ElfError(f"it has {len(chosen)} executable segments")
    code = [_Code(int(s["address"]), int(s["offset"]), int(s["file_bytes"])) for s in chosen]
    if any(one.offset + one.size > size for one in code):
        raise ElfError("its code lies beyond its end")
    return code


def _symbols(file: int, sections: NDArray[np.void], size: int) -> tuple[NDArray[np.void], bytes]:
    """The table of dynamic symbols, of which a library has one, and the names it refers to."""
    tables = sections[sections["type"] == _DYNAMIC_SYMBOLS]
    if len(tables) != 1:
        raise ElfError(f"it has {len(tables)} tables of dynamic symbols")
    table, link = tables[0], int(tables[0]["link"])
    if link >= len(sections) or sections[link]["type"] != _STRINGS:
        raise ElfError("its symbols have no names")
    if table["entry"] != _SYMBOL.itemsize:
        raise ElfError("the entries of its tables have another size than any linker gives them")
    strings = sections[link]
    symbols = _table(file, int(table["offset"]), int(table["bytes"]), size, _SYMBOL, "its symbols")
    names = _read(file, int(strings["offset"]), int(strings["bytes"]), size, "its names")
    return symbols, names


def _functions(symbols: NDArray[np.void], names_bytes: int) -> Iterator[tuple[int, int]]:
    """Place of the name, and address, of each function that is defined here."""
    mine = symbols[
        (symbols["info"] & 15 == _FUNCTION)
        & (symbols["section"] != 0)
        & (symbols["name"] < names_bytes)
    ]
    for first in range(0, len(mine), _STEP):
        step = mine[first : first + _STEP]
        yield from zip(step["name"].tolist(), step["value"].tolist(), strict=True)


def _in_file(address: int, code: list[_Code]) -> int | None:
    for one in code:
        if one.address <= address < one.address + one.size:
            return address - one.address + one.offset
    return None


def _table(  # noqa: PLR0913, PLR0917 - a place, its bounds, its form and its name
    file: int, offset: int, count_bytes: int, size: int, dtype: np.dtype[np.void], what: str
) -> NDArray[np.void]:
    whole = count_bytes - count_bytes % dtype.itemsize
    return np.frombuffer(_read(file, offset, whole, size, what), dtype)


def _read(file: int, offset: int, count: int, size: int, what: str) -> bytes:
    """Bytes of the file; all of them or none."""
    if offset + count > size:
        raise ElfError(f"it ends before {what}, or within")
    if count > MOST_TABLE_BYTES:
        raise ElfError(f"{what}: {count:,} bytes, more than any library has")
    try:
        data = os.pread(file, count, offset)
    except OSError as error:
        raise ElfError(f"it cannot be read: {error.strerror}") from error
    if len(data) != count:
        raise ElfError("it shrank while it was read")
    return data
