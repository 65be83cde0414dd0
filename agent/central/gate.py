"""Who may speak: the allow-list, and the answers to ZeroMQ's own question (ZAP).

ZAP 1.0 (https://rfc.zeromq.org/spec/27/): before a connection exists, libzmq
asks with the peer's CURVE key. The key becomes the connection's User-Id, and the
name is looked up again at every message, so that a revoked host falls silent at
once.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.keys import KeyStore

_SETTLE_NS: Final = 1_000_000_000
# Two changes within one tick of the file system's clock share their time stamp.

_ZAP_VERSION: Final = b"1.0"
_KEY_BYTES: Final = 32
_CREDENTIALS: Final = 6


class AllowList:
    """The hosts allowed, read again whenever their directory changes.

    Args:
        keys: Directory of the keys.
    """

    def __init__(self, keys: Path) -> None:
        self._keys = KeyStore(keys)
        self._stamp_ns = -1
        self._names: dict[str, str] = {}

    def name_of(self, public: str) -> str | None:
        """Return the name of the host whose key this is; None if it is not allowed."""
        self._refresh()
        return self._names.get(public)

    def _refresh(self) -> None:
        try:
            stamp_ns = self._keys.allowed_path.stat().st_mtime_ns
        except FileNotFoundError:
            stamp_ns = 0
        if stamp_ns == self._stamp_ns and time.time_ns() - stamp_ns > _SETTLE_NS:
            return
        self._stamp_ns, self._names = stamp_ns, self._keys.allowed()


def answer(
    request: list[bytes], allowed: AllowList, encode: Callable[[bytes], bytes]
) -> tuple[list[bytes], str]:
    """Answer one ZAP request.

    Args:
        request: Its frames: version, request id, domain, address, identity, mechanism, key.
        allowed: Who may enter.
        encode: Z85 encoder for 32 bytes.

    Returns:
        The frames to reply with, and the key that was refused, empty if none was.
    """
    version, number = request[0], request[1] if len(request) > 1 else b""
    known = version == _ZAP_VERSION and len(request) > _CREDENTIALS and request[5] == b"CURVE"
    key = encode(request[6]).decode("ascii") if known and len(request[6]) == _KEY_BYTES else ""
    if key and allowed.name_of(key) is not None:
        return [_ZAP_VERSION, number, b"200", b"OK", key.encode("ascii"), b""], ""
    return [_ZAP_VERSION, number, b"400", b"not allowed", b"", b""], key or "no key"
