"""A baseline's bytes with a signature behind them: who learnt it, and that nobody changed it since.

Layout: the baseline, then a fixed trailer of magic, Ed25519 public key (32 bytes) and signature
(64 bytes, RFC 8032) over a line that says what is signed, and the baseline.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.errors import AgentError
from agent.models.signing import Checker, Signer

_DOMAIN: Final = b"inferward baseline 1\n"
_MAGIC: Final = b"\nINFERWARD-SEAL-1"
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_TRAILER_BYTES: Final = len(_MAGIC) + _KEY_BYTES + _SIGNATURE_BYTES


class ForgedBaselineError(AgentError):
    """This baseline was changed after {0} signed it. Fetch it anew from where it was learned."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A baseline's bytes without the seal, and whose seal it was.

    Attributes:
        key: The signer's public key, 32 bytes; empty when nobody signed.
    """

    content: bytes
    key: bytes

    @property
    def signer(self) -> str:
        """Short name of the key, as `agent baseline import` prints it; empty without one."""
        return fingerprint(self.key) if self.key else ""


def key_path(state: Path) -> Path:
    """Where the secret key that seals this host's baselines lies."""
    return state / "keys" / "baselines.key"


def fingerprint(key: bytes) -> str:
    """Name a public key: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(key).hexdigest()[:16]


def seal(content: bytes, signer: Signer) -> bytes:
    """Return the content with the signer's seal behind it."""
    return content + _MAGIC + signer.public + signer.sign(_DOMAIN + content)


def unseal(data: bytes) -> Opened:
    """Return what was sealed, and by whom; what bears no seal is returned as it is.

    Raises:
        ForgedBaselineError: the seal is not of this content.
    """
    content, trailer = data[:-_TRAILER_BYTES], data[-_TRAILER_BYTES:]
    if not trailer.startswith(_MAGIC):
        return Opened(data, b"")
    key = trailer[len(_MAGIC) : -_SIGNATURE_BYTES]
    if not Checker.of(key).accepts(_DOMAIN + content, trailer[-_SIGNATURE_BYTES:]):
        raise ForgedBaselineError(fingerprint(key))
    return Opened(content, key)
