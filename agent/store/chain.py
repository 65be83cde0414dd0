"""The hash chain of the local log: each entry's digest covers the digest before it.

Changing, removing or inserting an entry breaks every digest behind it. Cutting
off the newest entries cannot be seen from the log alone; the newest digest that
left the host with a heartbeat tells it.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

GENESIS: Final = bytes(32)
"""What stands before the first entry."""


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a check of the log found. `broken_at` is the entry number; None when all of it holds."""

    entries: int
    broken_at: int | None
    reason: str
    head: str

    @property
    def whole(self) -> bool:
        """Whether nothing was changed, removed or inserted."""
        return self.broken_at is None


def link(previous: bytes, record: bytes) -> bytes:
    """Return the digest of the entry `record` that follows the entry with digest `previous`."""
    return hashlib.sha256(previous + record).digest()


def check(entries: Iterable[tuple[int, bytes, bytes]], number: int, digest: bytes) -> ChainReport:
    """Follow the chain from the entry `number` with `digest`, the last one that was let go.

    Args:
        entries: Number, record and digest of each entry kept, oldest first.
        number: The entry before the first of them; 0 for none.
        digest: Its digest; `GENESIS` for none.
    """
    count = 0
    for entry, record, stored in entries:
        if entry != number + 1:
            return ChainReport(count, entry, f"{entry - number - 1} entries missing", digest.hex())
        if link(digest, record) != stored:
            return ChainReport(count, entry, "the entry was changed", digest.hex())
        number, digest, count = entry, stored, count + 1
    return ChainReport(count, None, "", digest.hex())
