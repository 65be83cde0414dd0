"""The header of a GGUF file: read whole within bounds, its chat templates given back.

Source: ggml's docs/gguf.md. Counts and lengths are the file's own claims and size nothing here
before they were compared with what the file has.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import IO, Final

MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_FIXED: Final = {
    0: 1,
    1: 1,
    2: 2,
    3: 2,
    4: 4,
    5: 4,
    6: 4,
    7: 1,
    10: 8,
    11: 8,
    12: 8,
}  # bytes by type
_STRING, _ARRAY = 8, 9
_DEPTH_MAX: Final = 4
_NAME_MAX: Final = 65_535
_DIMENSIONS_MAX: Final = 4
_ENTRIES_MAX: Final = 4_000_000  # keys, tensors and items of arrays together
# (items in a block, bytes of a block) by ggml type; a type newer than this table is not sized.
_BLOCKS: Final = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 30: (1, 2),
}  # fmt: skip


class GgufError(Exception):
    """What breaks the format's rules."""


@dataclass(slots=True)
class Header:
    """Chat templates by key, and what is wrong; "" when nothing is."""

    templates: dict[str, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(slots=True)
class _Reader:
    stream: IO[bytes]
    left: int  # bytes to the end of the file
    entries: int = 0

    def take(self, size: int) -> bytes:
        if size > self.left:
            message = f"it asks for {size} bytes where {self.left} are left"
            raise GgufError(message)
        data = self.stream.read(size)
        if len(data) < size:
            message = "it breaks off in its header"
            raise GgufError(message)
        self.left -= size
        return data

    def number(self, form: str) -> int:
        return int(struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0])

    def count(self, size: int) -> int:
        """Return a count of entries of at least `size` bytes each, compared with what is left."""
        count = self.number("Q")
        self.entries += count
        if count * size > self.left or self.entries > _ENTRIES_MAX:
            message = f"it claims {count} entries, more than it can hold"
            raise GgufError(message)
        return count

    def text(self, limit: int) -> str:
        size = self.number("Q")
        if size > limit:
            message = f"a name or text of {size} bytes"
            raise GgufError(message)
        return self.take(size).decode("utf-8", "replace")


def read_header(stream: IO[bytes], size: int) -> Header:
    """Read the header of a file of `size` bytes, from its magic on."""
    found = Header()
    try:
        _read(_Reader(stream, size), found, size)
    except GgufError as error:
        found.problem = str(error)
    return found


def _read(reader: _Reader, found: Header, size: int) -> None:
    reader.take(len(MAGIC))
    version = reader.number("I")
    if version not in _VERSIONS:
        message = f"version {version} is none of {_VERSIONS}"
        raise GgufError(message)
    tensors, keys = reader.count(24), reader.count(13)
    alignment = 32
    for _ in range(keys):
        key = reader.text(_NAME_MAX)
        value = _value(reader, reader.number("I"))
        if key == "general.alignment" and isinstance(value, int):
            alignment = value
        if key.startswith("tokenizer.chat_template") and isinstance(value, str):
            found.templates[key] = value
    if alignment <= 0 or alignment & (alignment - 1):
        message = f"an alignment of {alignment}"
        raise GgufError(message)
    ends = [_tensor(reader, alignment) for _ in range(tensors)]
    data = -(size - reader.left) % alignment + (size - reader.left)
    if ends and data + max(ends) > size:
        message = "a tensor ends after the file"
        raise GgufError(message)


def _value(reader: _Reader, kind: int, depth: int = 0) -> int | str | None:
    if kind in _FIXED:
        return int.from_bytes(reader.take(_FIXED[kind]), "little")
    if kind == _STRING:
        return reader.text(reader.left)
    if kind != _ARRAY or depth > _DEPTH_MAX:
        message = f"a value of type {kind}"
        raise GgufError(message)
    inner = reader.number("I")
    if inner in _FIXED:
        count = reader.number("Q")
        reader.take(count * _FIXED[inner])
        return None
    for _ in range(reader.count(8)):
        _value(reader, inner, depth + 1)
    return None


def _tensor(reader: _Reader, alignment: int) -> int:
    """Read one tensor's entry; return where it ends in the data."""
    name = reader.text(_NAME_MAX)[:80]
    rank = reader.number("I")
    if rank > _DIMENSIONS_MAX:
        message = f"tensor {name!r} has {rank} dimensions"
        raise GgufError(message)
    items = math.prod(reader.number("Q") for _ in range(rank))
    kind, offset = reader.number("I"), reader.number("Q")
    if offset % alignment:
        message = f"tensor {name!r} is not aligned"
        raise GgufError(message)
    block, size = _BLOCKS.get(kind, (1, 0))
    return offset + -(-items // block) * size
