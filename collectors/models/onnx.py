"""What an ONNX file refers to outside itself: external data, and operators it does not define.

Reads the protobuf wire format along the few fields that lead there (onnx.proto3), without building
the messages; raw tensor data is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_DEPTH_MAX: Final = 64
_FIELDS_MAX: Final = 50_000_000
_VARINT_MAX: Final = 10  # bytes of a 64-bit number
# Of each message: field number of a submessage worth entering, and which message it is.
_PATHS: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_KNOWN_DOMAINS: Final = (
    "",
    "ai.onnx",
    "ai.onnx.ml",
    "ai.onnx.training",
    "ai.onnx.preview.training",
    "com.microsoft",
    "com.microsoft.nchwc",
    "com.ms.internal.nhwc",
)


class OnnxError(Exception):
    """What breaks the wire format."""


@dataclass(slots=True)
class References:
    """Where tensors lie, and the domains of operators that neither ONNX nor the file defines."""

    locations: set[str] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    nodes: int = 0
    fields: int = 0


def references(data: memoryview) -> References:
    """Return what a ModelProto refers to.

    Raises:
        OnnxError: It is none.
    """
    found = References()
    _walk(data, "model", found, 0)
    found.domains -= found.functions | set(_KNOWN_DOMAINS)
    return found


def _walk(data: memoryview, message: str, found: References, depth: int) -> None:
    if depth > _DEPTH_MAX:
        words = f"messages nested deeper than {_DEPTH_MAX}"
        raise OnnxError(words)
    paths = _PATHS.get(message, {})
    for number, value in _fields(data):
        found.fields += 1
        if found.fields > _FIELDS_MAX:
            words = f"more than {_FIELDS_MAX} fields"
            raise OnnxError(words)
        inner = paths.get(number)
        if inner == "entry":
            key, text = _entry(value)
            if key == "location":
                found.locations.add(text)
        elif inner:
            found.nodes += inner == "node"
            _walk(value, inner, found, depth + 1)
        elif (message, number) == ("node", 7):
            found.domains.add(_text(value))
        elif (message, number) == ("function", 10):
            found.functions.add(_text(value))


def _entry(data: memoryview) -> tuple[str, str]:
    pair = {number: _text(value) for number, value in _fields(data)}
    return pair.get(1, ""), pair.get(2, "")


def _text(data: memoryview) -> str:
    return bytes(data[:4096]).decode("utf-8", "replace")


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the length-delimited fields; numbers are passed over."""
    place, end = 0, len(data)
    while place < end:
        tag, place = _varint(data, place)
        kind = tag & 7
        if kind == 0:
            _, place = _varint(data, place)
            continue
        if kind == 2:  # noqa: PLR2004 (LEN)
            size, place = _varint(data, place)
        elif kind in {1, 5}:  # I64, I32
            size = 8 if kind == 1 else 4
        else:
            words = f"a field of wire type {kind}"
            raise OnnxError(words)
        if size > end - place:
            words = "a field is longer than what holds it"
            raise OnnxError(words)
        if kind == 2:  # noqa: PLR2004 (LEN)
            yield tag >> 3, data[place : place + size]
        place += size


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(_VARINT_MAX):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:  # noqa: PLR2004 (the continuation bit)
            return value, place
    words = "a number breaks off"
    raise OnnxError(words)
