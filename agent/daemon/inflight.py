"""Records that were read and not yet judged, kept beyond the end of this process.

The ring gives a record back once; the verdict it leads to is written when its window
closes. What lies between is in this file of the run directory, which lives in memory: a
daemon killed there leaves it to the next one.
"""

import mmap
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST: Final = 16_384
"""Records: as many as the ring holds."""

_HEADER: Final = np.dtype([("ring", "<u8"), ("count", "<u8"), ("beyond", "<u8"), ("bytes", "<u8")])


class InFlight:
    """One file; the records of one ring.

    Attributes:
        ring: The kernel's id of the ring that what was found is of; 0 where nothing was.
        found: Shape (n, bytes), uint8: what an earlier daemon left.
        beyond: Records it had no room for here, and that are lost with it.
    """

    def __init__(self, path: Path, ring: int, record_bytes: int) -> None:
        """Take what was left, and begin anew when `clear` is called."""
        with path.open("a+b") as file:
            file.truncate(_HEADER.itemsize + MOST * record_bytes)
            memory = mmap.mmap(file.fileno(), 0)
        self._header = np.frombuffer(memory, _HEADER, 1)
        self._records = np.frombuffer(memory, np.uint8, offset=_HEADER.itemsize).reshape(
            MOST, record_bytes
        )
        mine = int(self._header["bytes"][0]) == record_bytes
        count = min(int(self._header["count"][0]), MOST) if mine else 0
        self.ring = int(self._header["ring"][0]) if count else 0
        self.found: NDArray[np.uint8] = self._records[:count].copy()
        self.beyond = int(self._header["beyond"][0]) if mine else 0
        self._header["bytes"], self._header["ring"] = record_bytes, ring

    def add(self, raw: NDArray[np.uint8]) -> None:
        """Keep these records, shape (n, bytes), until `clear`; before the ring has them back."""
        at = int(self._header["count"][0])
        fits = raw[: MOST - at]
        self._records[at : at + len(fits)] = fits
        self._header["count"] = at + len(fits)
        self._header["beyond"] += len(raw) - len(fits)

    def clear(self) -> None:
        """All of them were judged, and what they led to is written."""
        self._header["count"] = self._header["beyond"] = 0
