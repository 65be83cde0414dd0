"""The kernel's ring buffer as a numpy array: no Python per record.

Every slot is 256 bytes (the kernel's 8-byte header, then one record), so the mapped
data pages are a structured array already. They are mapped twice in a row by the
kernel, so that a batch that wraps is still one slice. Source: kernel/bpf/ringbuf.c.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from probes.errors import ProbeError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from probes.maps import BpfMap
    from probes.schema import Schema

_BUSY: Final = np.uint32(1 << 31)  # BPF_RINGBUF_BUSY_BIT: reserved, not yet submitted
_DISCARDED: Final = np.uint32(1 << 30)
_HEADER_BYTES: Final = 8
_KEPT_BYTES: Final = 16  # the ring's id, and how far it was read


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in kernel order.

    Attributes:
        raw: Shape (n, 248), uint8, a copy of its own.
        headers: Shape (n,), dtype event_header: a view of it.
    """

    raw: NDArray[np.uint8]
    schema: Schema
    headers: NDArray[np.void] = field(init=False)

    def __post_init__(self) -> None:
        """Look at the records' beginnings; nothing is copied."""
        dtype = self.schema.dtype("event_header")
        headers = np.ndarray(len(self.raw), dtype, self.raw, strides=(self.raw.strides[0],))
        object.__setattr__(self, "headers", headers)

    def __len__(self) -> int:
        return len(self.raw)

    def of(self, kind: int, struct: str) -> NDArray[np.void]:
        """The records of one kind, shape (m,), dtype `struct`, in kernel order."""
        mine = self.headers["kind"] == kind
        chosen = self.raw if mine.all() else self.raw[mine]
        records: NDArray[np.void] = chosen.view(self.schema.dtype(struct)).ravel()
        return records


class Ring:
    """Reads what the probes submitted.

    `peek`, act, then `advance`: a crash in between repeats records, and never loses one.
    """

    def __init__(self, ring: BpfMap, schema: Schema) -> None:
        self.fd = ring.fd
        self.id = ring.id
        self._kept: NDArray[np.uint64] | None = None
        self._schema = schema
        record = schema.limit("RECORD_BYTES")
        self._slot_bytes = record + _HEADER_BYTES
        page, size = mmap.PAGESIZE, ring.max_entries
        self._slots = size // self._slot_bytes
        self._consumer_map = mmap.mmap(ring.fd, page)
        self._producer_map = mmap.mmap(ring.fd, page + 2 * size, prot=mmap.PROT_READ, offset=page)
        self._consumer = np.frombuffer(self._consumer_map, "<u8", count=1)
        self._producer = np.frombuffer(self._producer_map, "<u8", count=1)
        self._data = np.frombuffer(self._producer_map, np.uint8, offset=page).reshape(
            2 * self._slots, self._slot_bytes
        )
        self._lengths = self._data.view("<u4")[:, 0]
        self._at = self._end = int(self._consumer[0])
        self.discarded = self.taken = 0  # taken: by another reader of the same ring

    def peek(self, most: int = 8192) -> Batch:
        """Up to `most` finished records, copied out; the kernel keeps them until `advance`.

        Raises:
            ProbeError: a slot is not 256 bytes: kernel and reader disagree.
        """
        start, produced = int(self._consumer[0]), int(self._producer[0])
        self.taken += max(start - self._at, 0) // self._slot_bytes
        start = self._at = max(start, self._at)
        count = min((produced - start) // self._slot_bytes, most)
        first = (start // self._slot_bytes) % self._slots
        lengths = self._lengths[first : first + count].copy()
        busy = np.flatnonzero(lengths & _BUSY)
        if len(busy):
            lengths = lengths[: busy[0]]
        kept = (lengths & _DISCARDED) == 0
        sizes = lengths & ~_DISCARDED
        if len(sizes) and np.any(sizes != self._slot_bytes - _HEADER_BYTES):
            raise ProbeError("read the ring", f"a record of {int(sizes.max())} bytes")
        self._end = start + len(lengths) * self._slot_bytes
        self.discarded += int(np.count_nonzero(~kept))
        raw = self._data[first : first + len(lengths)][kept][:, _HEADER_BYTES:].copy()
        return Batch(raw, self._schema)

    def keep(self, path: Path) -> None:
        """Remember from now on, beyond this process's end, how far was read.

        What was taken since the last reader's end, and not by one that keeps this file, is counted.
        """
        with path.open("a+b") as file:
            file.truncate(_KEPT_BYTES)
            memory = mmap.mmap(file.fileno(), _KEPT_BYTES)
        self._kept = np.frombuffer(memory, "<u8")
        if int(self._kept[0]) == self.id:
            self.taken += max(self._at - int(self._kept[1]), 0) // self._slot_bytes
        self._kept[1] = self._at
        self._kept[0] = self.id

    def advance(self) -> None:
        """Gives what `peek` returned back to the kernel."""
        if self._kept is not None:
            self._kept[1] = self._end  # first: killed in between, it is read again, not missed
        self._consumer[0] = self._at = self._end

    @property
    def waiting(self) -> int:
        """Records submitted or reserved, and not yet taken."""
        return (int(self._producer[0]) - int(self._consumer[0])) // self._slot_bytes
