"""What a pickle would import and call when loaded, read from its opcodes without running one.

Source: the opcode table of Python's own pickletools. A stream that breaks off keeps what it named
until then: unpickling runs that far too.
"""

from __future__ import annotations

import pickletools
import warnings
from dataclasses import dataclass, field
from typing import IO, cast

from collectors.models.machine import BrokenPickleError, Machine
from collectors.models.names import Name

OPCODES_MAX = 50_000_000
PIECE_MAX = 256 << 20  # one string or line; a length field may ask for the whole memory
_DEPTH_MAX = 20  # object arrays inside object arrays


@dataclass(slots=True)
class Pickled:
    """What a stream imports, in order, and the first call of each name as far as it is known.

    `broken` says why reading ended before its STOP.
    """

    names: dict[Name, str] = field(default_factory=dict)
    broken: str = ""


@dataclass(frozen=True, slots=True)
class _Bounded:
    """A stream that refuses to give more than PIECE_MAX at once."""

    stream: IO[bytes]

    def read(self, size: int) -> bytes:
        if size > PIECE_MAX:
            message = f"a piece of {size} bytes"
            raise ValueError(message)
        return self.stream.read(size)

    def readline(self) -> bytes:
        return self.stream.readline(PIECE_MAX)


def read_pickles(stream: IO[bytes]) -> Pickled:
    """Return what the pickles in a stream do, one after another as loaders read them.

    What follows a whole pickle and is none itself, as raw tensors do, is left alone.
    """
    with warnings.catch_warnings():
        # Texts of protocol 0 are decoded as Python source, which has opinions on backslashes.
        warnings.simplefilter("ignore", DeprecationWarning)
        return _all(stream)


def _all(stream: IO[bytes]) -> Pickled:
    found = Pickled()
    names = found.names
    found.broken = _one(stream, names)
    while not found.broken:
        before = len(names)
        broken = _one(stream, names)
        if broken and len(names) == before:
            break
        found.broken = broken
    return found


def _one(stream: IO[bytes], names: dict[Name, str], depth: int = 0) -> str:
    """Add what one pickle imports to `names`; return why it broke off, "" at its STOP."""
    if depth > _DEPTH_MAX:
        return f"pickles nested deeper than {_DEPTH_MAX}"
    machine = Machine(names, stream)
    # genops asks a stream for no more than these two methods, and for nothing ahead.
    bounded = cast("IO[bytes]", _Bounded(stream))
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(bounded)):
            if count > OPCODES_MAX:
                return f"more than {OPCODES_MAX} opcodes"
            machine.step(opcode, argument)
            if machine.wants_pickle:
                machine.wants_pickle = False
                if broken := _one(stream, names, depth + 1):
                    return broken
    except (ValueError, EOFError, OverflowError, MemoryError, BrokenPickleError) as error:
        return str(error) or type(error).__name__
    return ""
