"""One message on the control socket: four bytes of length, big-endian, then MessagePack."""

import socket
import struct
import time
from typing import Any, Final

import msgpack

SOCKET: Final = "control.sock"
MAX_REQUEST_BYTES: Final = 4 * 1024 * 1024  # a baseline is at most 2 MB
MAX_REPLY_BYTES: Final = 16 * 1024 * 1024
_LENGTH: Final = struct.Struct(">I")


class WireError(Exception):
    """What came is no message."""


def pack(message: dict[str, Any], max_bytes: int) -> bytes:
    """Return `message` as it travels.

    Raises:
        TypeError: Something in it is no plain value.
        WireError: It is too long.
    """
    body: bytes = msgpack.packb(message)
    if len(body) > max_bytes:
        raise WireError(f"{len(body)} bytes, more than {max_bytes}")
    return _LENGTH.pack(len(body)) + body


def receive(connection: socket.socket, max_bytes: int, timeout_s: float) -> dict[str, Any]:
    """Return the next message, which must be complete within `timeout_s`.

    Raises:
        WireError: It is too long, cut short, no MessagePack, or no map.
        TimeoutError: It was not complete in time.
        OSError: The connection broke.
    """
    deadline = time.monotonic() + timeout_s
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size, deadline))
    if length > max_bytes:
        raise WireError(f"{length} bytes, more than {max_bytes}")
    body = _exactly(connection, length, deadline)
    try:
        message = msgpack.unpackb(body)
    except (ValueError, msgpack.UnpackException) as error:
        raise WireError(f"no MessagePack: {error}") from error
    if not isinstance(message, dict):
        raise WireError("no map")
    return message


def _exactly(connection: socket.socket, length: int, deadline: float) -> bytes:
    """Read `length` bytes; one deadline for all, so that no trickle holds a place."""
    parts = bytearray()
    while len(parts) < length:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        connection.settimeout(left_s)
        part = connection.recv(min(length - len(parts), 65_536))
        if not part:
            raise WireError(f"{len(parts)} of {length} bytes")
        parts += part
    return bytes(parts)
