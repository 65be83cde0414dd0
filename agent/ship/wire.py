"""What travels between a host and central: MessagePack maps, checked before anything is believed.

    host → central   {"v": 1, "kind": "verdicts", "host", "epoch", "acked", "dropped", "rows"}
                     {"v": 1, "kind": "heartbeat", "host", "epoch", "acked", "dropped", "summary"}
    central → host   {"v": 1, "kind": "ack", "epoch", "sequence", "refused"}
                     {"v": 1, "kind": "refused", "reason"}

`rows` is a list of [sequence, verdict], sequences rising. `epoch` names one life
of an outbox: with it a sequence number is never used twice. `acked` is the last
sequence any central acknowledged. There is no message by which central could
make a host do anything.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgpack

VERSION: Final = 1
MESSAGE_BYTES: Final = 1 << 20
"""Size limit of one message; both ends close on a peer that sends more."""

BATCH_BYTES: Final = 1 << 19
"""Verdicts put into one message: half the limit, so that the largest single verdict still fits."""

VERDICT_BYTES: Final = 1 << 18
"""Size limit of one verdict as MessagePack."""

BATCH_ROWS: Final = 256
_DEPTH: Final = 12  # a verdict is 5 deep; the JSON encoder's own limit is the interpreter's stack
_TEXT: Final = 1 << 16
_ITEMS: Final = 4096
_INTEGERS: Final = range(-(1 << 63), 1 << 64)


class PeerError(Exception):
    """The other side sent something that is no message of ours."""


def pack(kind: str, **facts: object) -> bytes:
    """Return the message `kind` with `facts` as bytes."""
    return bytes(msgpack.packb({"v": VERSION, "kind": kind, **facts}, use_bin_type=True))


def pack_verdict(verdict: Mapping[str, Any]) -> bytes:
    """Return one verdict as it lies in the outbox and inside a message."""
    return bytes(msgpack.packb(verdict, use_bin_type=True))


def unpack_verdict(body: bytes) -> dict[str, Any]:
    """Return what `pack_verdict` packed."""
    verdict: dict[str, Any] = msgpack.unpackb(body, raw=False)
    return verdict


def fits(body: bytes) -> bool:
    """Tell whether central could accept the verdict packed in `body`."""
    try:
        # Inside a message it lies three levels down: the map, its rows, the row.
        _decode(body, _DEPTH - 3)
    except PeerError:
        return False
    return len(body) <= VERDICT_BYTES


def unpack(message: bytes) -> dict[str, Any]:
    """Return the message in `message`: text keys, no bytes and no extensions, within every limit.

    Raises:
        PeerError: It is not one, with what is wrong about it.
    """
    if len(message) > MESSAGE_BYTES:
        raise PeerError("too large")
    found = _decode(message, _DEPTH)
    if not isinstance(found, dict) or not isinstance(found.get("kind"), str):
        raise PeerError("no map with a kind")
    if found.get("v") != VERSION:
        raise PeerError("another version of the protocol")
    return found


def whole_number(message: Mapping[str, Any], key: str) -> int:
    """Return the number `key` of `message`: not negative and within 63 bits.

    Raises:
        PeerError: It is missing or something else.
    """
    value = message.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise PeerError(f"{key} is no whole number")
    return value


def short_text(message: Mapping[str, Any], key: str, limit: int = 253) -> str:
    """Return the text `key` of `message`: 1 to `limit` characters.

    Raises:
        PeerError: It is missing or something else.
    """
    value = message.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= limit:
        raise PeerError(f"{key} is no text of 1 to {limit} characters")
    return value


def _decode(packed: bytes, depth: int) -> object:
    try:
        found: object = msgpack.unpackb(
            packed,
            raw=False,
            strict_map_key=True,
            max_str_len=_TEXT,
            max_bin_len=0,
            max_ext_len=0,
            max_array_len=_ITEMS,
            max_map_len=_ITEMS,
        )
        _check_plain(found, depth)
    # What the decoder raises on hostile bytes: ValueError and its kin, its own stack limit, and a
    # memory error for a length that cannot be.
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError, MemoryError) as error:
        raise PeerError(f"no MessagePack of ours: {type(error).__name__}") from error
    return found


def _check_plain(value: object, depth: int) -> None:
    if depth == 0:
        raise ValueError("too deep")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError("a key that is no text")
            _check_plain(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check_plain(item, depth - 1)
    elif isinstance(value, int):
        if value not in _INTEGERS:
            raise ValueError("a number out of range")
    elif not (value is None or isinstance(value, float | str)):
        raise TypeError(type(value).__name__)
