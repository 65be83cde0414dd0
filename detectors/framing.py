"""Named arrays and plain values as bytes: versioned, checked, without pickle.

Layout: magic, version (2 bytes, little endian), SHA-256 of the rest, then zlib over MessagePack
of ``{"head": ..., "arrays": {name: [dtype, shape, bytes]}}``.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from typing import Any, Final

import msgpack
import numpy as np
from numpy.typing import NDArray

from detectors.errors import BaselineCorruptError

MAGIC: Final = b"INFERWARD-BASELINE\n"
VERSION: Final = 1

MAX_BYTES: Final = 64 << 20
"""Unpacked; a baseline is at most 2 MB packed. Refuses bytes made to fill the memory."""

_DTYPES: Final = frozenset({"<u8", "<i8", "<f8", "<u4", "|u1"})
_START: Final = len(MAGIC) + 2 + 32

Arrays = Mapping[str, NDArray[Any]]


def pack(head: Mapping[str, object], arrays: Arrays) -> bytes:
    """Return the bytes of plain values and arrays. The same input gives the same bytes."""
    body = zlib.compress(
        msgpack.packb(
            {
                "head": dict(head),
                "arrays": {
                    name: [array.dtype.str, list(array.shape), _planes(array)]
                    for name, array in sorted(arrays.items())
                },
            }
        ),
        level=6,
    )
    return MAGIC + VERSION.to_bytes(2, "little") + hashlib.sha256(body).digest() + body


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what `pack` was given.

    Raises:
        BaselineCorruptError: not such bytes, damaged, or of another version.
    """
    if not data.startswith(MAGIC) or len(data) < _START:
        raise BaselineCorruptError("the first bytes are another format's")
    version = int.from_bytes(data[len(MAGIC) : len(MAGIC) + 2], "little")
    if version != VERSION:
        raise BaselineCorruptError(f"version {version}, this program reads {VERSION}")
    body = data[_START:]
    if hashlib.sha256(body).digest() != data[len(MAGIC) + 2 : _START]:
        raise BaselineCorruptError("the checksum does not fit: bytes were changed or cut off")
    try:
        inflated = zlib.decompressobj().decompress(body, MAX_BYTES)
        content = msgpack.unpackb(inflated, strict_map_key=False)
        arrays = {name: _array(*stored) for name, stored in content["arrays"].items()}
        head: dict[str, Any] = content["head"]
    except (
        zlib.error,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        msgpack.UnpackException,
    ) as error:
        raise BaselineCorruptError(str(error)) from error
    return head, arrays


def _planes(array: NDArray[Any]) -> bytes:
    """Return all lowest bytes, then all second ones and so on: they compress far better."""
    raw = np.ascontiguousarray(array).view(np.uint8).reshape(-1, array.dtype.itemsize)
    return raw.T.tobytes()


def _array(dtype: str, shape: list[int], planes: bytes) -> NDArray[Any]:
    if dtype not in _DTYPES:
        raise ValueError(f"arrays of {dtype} are not stored")
    raw = np.frombuffer(planes, np.uint8).reshape(np.dtype(dtype).itemsize, -1)
    return np.ascontiguousarray(raw.T).view(dtype).reshape(shape)
