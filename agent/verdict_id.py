"""Identifiers of verdicts: sortable by time and the same again when a recording is replayed."""

import hashlib
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base32: digits and capitals without I, L, O and U."""

LENGTH: Final = 26
_MILLISECOND_NS: Final = 1_000_000
_TIME_BITS: Final = 48
_DIGEST_BITS: Final = 80


def verdict_id(time_ns: int, host: str, workload: str, window_start_ns: int) -> str:
    """Return the identifier of what was concluded about one window of one workload.

    The layout is a ULID's (https://github.com/ulid/spec): 48 bits of Unix
    milliseconds, then 80 bits. Those are no random number here but a digest of
    the arguments, so that a replay names its verdicts like the original.

    Args:
        time_ns: Unix time of the verdict, nanoseconds, >= 0.
        host: Name of the host.
        workload: Name of the workload.
        window_start_ns: Start of the judged window, CLOCK_MONOTONIC nanoseconds.

    Returns:
        26 characters of `ALPHABET`; their order as text is the order in time.
    """
    # Lengths first: no two different pairs of names may read as the same bytes.
    names = (host.encode(), workload.encode())
    told = b"".join(len(name).to_bytes(4, "big") + name for name in names)
    told += time_ns.to_bytes(16, "big", signed=True)
    told += window_start_ns.to_bytes(16, "big", signed=True)
    tail = int.from_bytes(hashlib.sha256(told).digest()[: _DIGEST_BITS // 8], "big")
    time_ms = (time_ns // _MILLISECOND_NS) % (1 << _TIME_BITS)
    number = (time_ms << _DIGEST_BITS) | tail
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(5 * (LENGTH - 1), -1, -5))


def is_verdict_id(text: object) -> bool:
    """Tell whether `text` has the form that `verdict_id` gives."""
    return isinstance(text, str) and len(text) == LENGTH and not set(text) - set(ALPHABET)
