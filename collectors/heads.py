"""Paths too long for one record: their beginnings travel in another, and are put in front here."""

from collections import OrderedDict
from typing import Final

import numpy as np
from numpy.typing import NDArray

from probes.schema import Schema

MOST: Final = 1_024
"""Beginnings kept for a record that a later batch holds; the oldest is given up."""

_TRUNCATED: Final = "FLAG_TRUNCATED"
_NOTHING: Final = (b"", False)


class Heads:
    """Remembers beginnings; one may serve several records, as both halves of a rename.

    Args:
        schema: Of the loaded object.
    """

    def __init__(self, schema: Schema) -> None:
        """Know what a truncated path looks like."""
        self._flag = schema.enum("event_flag")[_TRUNCATED]
        self._link_bytes = schema.limit("HEAD_LINK_BYTES")
        self._known: OrderedDict[tuple[int, bytes], tuple[bytes, bool]] = OrderedDict()

    def take(self, records: NDArray[np.void]) -> None:
        """Remember what one batch brought; shape (n,), dtype `head_event`."""
        for record in records:
            flags = int(record["hdr"]["flags"])
            key = (int(record["hdr"]["tid"]), bytes(record["link"]))
            self._known.pop(key, None)
            self._known[key] = (bytes(record["text"]), not flags & self._flag)
        while len(self._known) > MOST:
            self._known.popitem(last=False)

    def path(self, record: np.void) -> bytes:
        """A record's path, as much of it as was told."""
        return self._before(record)[0] + bytes(record["path"])

    def flags(self, record: np.void) -> int:
        """A record's flags; one whose path is whole with its beginning is not truncated."""
        flags = int(record["hdr"]["flags"])
        return flags & ~self._flag if self._before(record)[1] else flags

    def _before(self, record: np.void) -> tuple[bytes, bool]:
        if not int(record["hdr"]["flags"]) & self._flag or "path" not in (record.dtype.names or ()):
            return _NOTHING
        key = (int(record["hdr"]["tid"]), bytes(record["path"])[: self._link_bytes])
        return self._known.get(key, _NOTHING)
