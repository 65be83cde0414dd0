"""NumPy's .npy files: numbers, or a pickle of Python objects behind a header.

Source: numpy.lib.format, versions 1.0 to 3.0.
"""

from __future__ import annotations

import ast
import math
import struct
from dataclasses import dataclass
from typing import IO, Final

import numpy as np

MAGIC: Final = b"\x93NUMPY"
_HEADER_MAX: Final = 1 << 20  # of a record array with thousands of fields


@dataclass(frozen=True, slots=True)
class Header:
    """Whether the items are objects, and what is wrong; "" when nothing is."""

    objects: bool = False
    problem: str = ""


def read_header(stream: IO[bytes], size: int) -> Header:
    """Read the header from the magic on; the stream is then at the data."""
    try:
        version = stream.read(8)[6]
        length = struct.unpack(
            "<H" if version == 1 else "<I", stream.read(2 if version == 1 else 4)
        )[0]
        if length > min(size, _HEADER_MAX):
            return Header(problem=f"a header of {length} bytes")
        table = ast.literal_eval(stream.read(length).decode("utf-8" if version > 2 else "latin-1"))  # noqa: PLR2004 (3.0 is UTF-8)
        dtype = np.dtype(table["descr"])
        count = math.prod(table["shape"])
    except (ValueError, TypeError, KeyError, IndexError, SyntaxError, struct.error,
            RecursionError, MemoryError) as error:  # fmt: skip
        return Header(problem=f"no header of an array: {error}")
    if dtype.hasobject:
        return Header(objects=True)
    wanted = count * dtype.itemsize
    left = size - (10 if version == 1 else 12) - length
    return Header(problem="" if left == wanted else f"{left} bytes of data where {wanted} belong")
