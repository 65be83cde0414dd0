"""Streams inside files: compressed ones, and members of archives read against their own words."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from typing import IO, Final, cast

BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    struct.error,
)
"""What reading a hostile archive raises besides OSError."""
UNPACKED_MAX: Final = 64 << 20
"""Bytes of a contradictory member that are looked at."""
_LOCAL_HEADER: Final = struct.Struct("<4s5H3L2H")  # APPNOTE.TXT 4.3.7

_COMPRESSED: Final = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
    (b"\x5d\x00\x00", lzma.open),
)


def unpacked(stream: IO[bytes], head: bytes) -> IO[bytes] | None:
    """Return the content of a compressed stream; None when it is not one of those joblib writes."""
    for magic, opener in _COMPRESSED:
        if head.startswith(magic):
            return cast("IO[bytes]", opener(stream, "rb"))
    if len(head) > 1 and head[0] == 0x78 and int.from_bytes(head[:2], "big") % 31 == 0:  # noqa: PLR2004 (RFC 1950)
        return cast("IO[bytes]", io.BufferedReader(_Inflating(stream)))
    return None


class _Inflating(io.RawIOBase):
    """A zlib stream, read forward."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._inflate = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            data = self._inflate.unconsumed_tail or self._stream.read(1 << 16)
            piece = self._inflate.decompress(data, len(buffer)) if data else self._inflate.flush()
            if piece or not data or self._inflate.eof:
                buffer[: len(piece)] = piece
                return len(piece)


def raw_member(stream: IO[bytes], member: zipfile.ZipInfo) -> bytes:
    """Return a member as a loader reads it that checks neither names, flags nor sums.

    Raises:
        One of BROKEN: There is nothing to read.
    """
    stream.seek(member.header_offset)
    *_, name_size, extra_size = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
    stream.seek(name_size + extra_size, io.SEEK_CUR)
    if member.compress_type == zipfile.ZIP_STORED:
        return stream.read(min(member.compress_size, UNPACKED_MAX))
    packed = stream.read(min(member.compress_size, UNPACKED_MAX))
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, UNPACKED_MAX)
