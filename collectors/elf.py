"""Where a library's functions lie in its file, from its table of dynamic symbols.

A watched process chooses what it maps, so nothing in the file is believed: every place and
size is held against the file, and the file is read, not mapped, since one that shrinks
would end a reader that maps it. Source: System V ABI, "Object Files"; elf(5).
"""

import os
import struct
from collections.abc import Container
from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST_TABLE_BYTES: Final = 16 << 20
"""Of the symbols, and of their names: the largest libraries of machine learning have less."""

_HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
_IDENTITY: Final = b"\x7fELF\x02\x01"  # 64 bits, little endian
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
_FUNCTION: Final = 2
_LONGEST_NAME: Final = 128


def functions(file: int, wanted: Container[str]) -> dict[str, int]:
    """Offsets in the file of the functions that a library exports under these names.

    Args:
        file: Descriptor of the library.
        wanted: Names.

    Returns:
        Empty where the file is no library of this machine, or a part of it is not there.
    """
    header = _read(file, 0, _HEADER.size)
    if len(header) < _HEADER.size or not header.startswith(_IDENTITY):
        return {}
    fields = _HEADER.unpack(header)
    segments = _table(file, fields[5], fields[10], _SEGMENT)
    sections = _table(file, fields[6], fields[12], _SECTION)
    code = segments[(segments["type"] == _LOAD) & (segments["flags"] & _EXECUTABLE != 0)]
    found: dict[str, int] = {}
    for section in sections[sections["type"] == _DYNAMIC_SYMBOLS]:
        if int(section["link"]) >= len(sections):
            continue
        strings = sections[int(section["link"])]
        names = _read(file, int(strings["offset"]), int(strings["bytes"]))
        count = int(section["bytes"]) // _SYMBOL.itemsize
        symbols = _table(file, int(section["offset"]), count, _SYMBOL)
        mine = symbols[(symbols["info"] & 15 == _FUNCTION) & (symbols["section"] != 0)]
        for symbol in mine:
            at = int(symbol["name"])
            name = names[at : at + _LONGEST_NAME].partition(b"\0")[0].decode("ascii", "replace")
            offset = _in_file(int(symbol["value"]), code)
            if name in wanted and offset is not None:
                found[name] = offset
    return found


def _in_file(address: int, code: NDArray[np.void]) -> int | None:
    for segment in code:
        start = int(segment["address"])
        if start <= address < start + int(segment["file_bytes"]):
            return address - start + int(segment["offset"])
    return None


def _table(file: int, offset: int, count: int, dtype: np.dtype[np.void]) -> NDArray[np.void]:
    data = _read(file, offset, count * dtype.itemsize)
    return np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)


def _read(file: int, offset: int, size: int) -> bytes:
    if size > MOST_TABLE_BYTES or offset >= 1 << 62:
        return b""
    try:
        return os.pread(file, size, offset)
    except OSError:
        return b""
