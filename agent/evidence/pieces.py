"""What goes into a bundle, piece by piece, and how the reader hands it over."""

import json
from dataclasses import dataclass
from typing import Any, Final

import msgpack

DONE: Final = "done"
ALIVE: Final = "alive"
PIECE: Final = "piece"

MOST_BYTES: Final = 1 << 28
"""Of one message from the reader: more than any piece within the bounds."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One member of the archive.

    Attributes:
        name: Made of fixed words and numbers alone, never of what a process chose.
        content: Its bytes.
        note: What is missing of it, for the manifest; "" for nothing.
    """

    name: str
    content: bytes
    note: str = ""

    @classmethod
    def json(cls, name: str, value: Any, note: str = "") -> "Piece":  # noqa: ANN401 - any JSON
        r"""Write plain values; bytes that are no UTF-8 become lone surrogates, `\udcNN`."""
        return cls(name, json.dumps(value, indent=1, default=str).encode("ascii"), note)


def message(kind: str, piece: Piece | None = None) -> bytes:
    """Encode what the reader says: `PIECE` with one, or `DONE` and `ALIVE` without."""
    fields = () if piece is None else (piece.name, piece.content, piece.note)
    return bytes(msgpack.packb((kind, *fields)))
