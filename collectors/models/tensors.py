"""The header of a safetensors file: bounds, sizes and order, as the format's own reader wants them.

Source: the format's description (huggingface/safetensors, README, "Format").
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import IO, Any, Final

HEADER_MAX: Final = 100_000_000  # the format itself allows no longer header
_BITS: Final = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "F64": 64, "I64": 64, "U64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


class HeaderError(Exception):
    """What breaks the rules."""


def begins_as_header(head: bytes) -> bool:
    """Return whether a file begins with a length and the brace of a table, as no other does."""
    return head[8:9] == b"{" and head[:1] != b"{" and not head[4:8].strip(b"\0")


def header_problem(stream: IO[bytes], size: int) -> str:
    """Return what breaks the rules of a safetensors header; "" when all hold."""
    length = int.from_bytes(stream.read(8), "little")
    if length > min(HEADER_MAX, size - 8):
        return "its header is longer than the file or than the format allows"
    try:
        table = json.loads(stream.read(length), object_pairs_hook=_once)
        end = _end(table)
    except HeaderError as error:
        return str(error)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return "its header is not a table of tensors"
    left = size - 8 - length - end
    if left > 0:
        return f"{left} bytes follow its last tensor"
    return f"its tensors want {-left} bytes more than the file has" if left else ""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        message = "its header names a tensor twice: readers differ in which they take"
        raise HeaderError(message)
    return table


def _end(table: Mapping[str, Any]) -> int:
    """Return where the last tensor ends, from the end of the header."""
    spans = []
    for name, entry in table.items():
        if name == "__metadata__":
            if not all(isinstance(value, str) for value in entry.values()):
                message = "its metadata holds more than text"
                raise HeaderError(message)
            continue
        spans.append(_span(name, entry))
    end = 0
    for low, high, name in sorted(spans):
        if low != end:
            words = "overlaps another" if low < end else "leaves a gap before it"
            message = f"its tensor {name[:80]!r} {words}"
            raise HeaderError(message)
        end = high
    return end


def _span(name: str, entry: Mapping[str, Any]) -> tuple[int, int, str]:
    low, high = entry["data_offsets"]
    numbers = [low, high, *entry["shape"]]
    if any(type(number) is not int or number < 0 for number in numbers):
        message = f"its tensor {name[:80]!r} has sizes that are no natural numbers"
        raise HeaderError(message)
    bits = _BITS.get(entry["dtype"])
    # A type newer than this table is no fault of the file.
    if bits is not None and math.prod(entry["shape"]) * bits != (high - low) * 8:
        message = f"its tensor {name[:80]!r} has another size than its type and shape give"
        raise HeaderError(message)
    return low, high, name
