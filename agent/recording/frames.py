"""The file format of recordings: records in checked, compressed frames.

Layout: magic, version (2 bytes, little endian), then frames. A frame is the length and the CRC-32
of its body (4 bytes each, little endian), then the body: zlib over MessagePack arrays one after
the other, each a record whose first element names its kind. The last record is `end`; a file
without it was cut off.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgpack

from agent.recording.errors import BrokenRecordingError, NoRecordingError

MAGIC: Final = b"INFERWARD-RECORDING\n"
VERSION: Final = 1
END: Final = "end"

MAX_FRAME_BYTES: Final = 64 << 20
"""Unpacked. Refuses a frame made to fill the memory; a baseline, the largest record, has 2 MB."""

_PREFIX: Final = struct.Struct("<II")
_VERSION: Final = struct.Struct("<H")

Record = list[Any]


def head() -> bytes:
    """Return what every recording begins with."""
    return MAGIC + _VERSION.pack(VERSION)


def frame(records: Sequence[Sequence[Any]]) -> bytes:
    """Return some records as one frame."""
    body = zlib.compress(b"".join(msgpack.packb(record) for record in records), level=6)
    return _PREFIX.pack(len(body), zlib.crc32(body)) + body


def read(path: Path) -> Iterator[Record]:
    """Yield the records of a file in their order, `end` last.

    Raises:
        NoRecordingError: It cannot be opened, or begins otherwise.
        BrokenRecordingError: It is damaged or cut off; all records before that were yielded.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise NoRecordingError(path, error.strerror) from error
    with file:
        _check_head(path, file)
        count = 0
        last = ""
        while prefix := file.read(_PREFIX.size):
            for record in _unpack(path, file, prefix, count):
                count += 1
                last = str(record[0])
                yield record
        if last != END:
            raise BrokenRecordingError(path, count, "it was cut off")


def _check_head(path: Path, file: BinaryIO) -> None:
    if file.read(len(MAGIC)) != MAGIC:
        raise NoRecordingError(path, "its first bytes are another format's")
    raw = file.read(_VERSION.size)
    version = _VERSION.unpack(raw)[0] if len(raw) == _VERSION.size else 0
    if version != VERSION:
        raise NoRecordingError(path, f"it has version {version}, this program reads {VERSION}")


def _unpack(path: Path, file: BinaryIO, prefix: bytes, count: int) -> list[Record]:
    """Return the records of the frame that begins with `prefix`: all of them or none."""
    if len(prefix) < _PREFIX.size:
        raise BrokenRecordingError(path, count, "it was cut off")
    length, checksum = _PREFIX.unpack(prefix)
    if length > MAX_FRAME_BYTES:
        raise BrokenRecordingError(path, count, "a frame's length is damaged")
    body = file.read(length)
    if len(body) < length:
        raise BrokenRecordingError(path, count, "it was cut off")
    if zlib.crc32(body) != checksum:
        raise BrokenRecordingError(path, count, "a checksum does not fit")
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(body, MAX_FRAME_BYTES)
        if inflater.unconsumed_tail:
            raise BrokenRecordingError(path, count, "a frame is larger than any this program makes")
        unpacker = msgpack.Unpacker(max_buffer_size=MAX_FRAME_BYTES, strict_map_key=False)
        unpacker.feed(plain)
        records: list[Any] = list(unpacker)
    except (zlib.error, ValueError, msgpack.UnpackException) as error:
        raise BrokenRecordingError(path, count, str(error)) from error
    if not all(isinstance(record, list) and record for record in records):
        raise BrokenRecordingError(path, count, "a record has no kind")
    return records
