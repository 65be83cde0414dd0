"""Ed25519 keys that approve model directories and seal baselines (RFC 8032), kept as PEM files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from agent.errors import AgentError, NotReadyError


class SigningKeyError(AgentError):
    """{0} is no usable Ed25519 key: {1}."""


class NoSigningKeyError(NotReadyError):
    """There is no key at {0} to verify with. `agent models trust` makes one, or give --key."""


@dataclass(frozen=True, slots=True)
class Signer:
    """The secret half."""

    _key: Ed25519PrivateKey

    @classmethod
    def load_or_make(cls, path: Path) -> Signer:
        """Read the key at `path`; make one, mode 0600, with its public half beside it if absent.

        Raises:
            SigningKeyError: It cannot be read, written or used, or others may read it.
        """
        try:
            if not path.exists():
                _make(path)
            if path.stat().st_mode & 0o077:
                raise SigningKeyError(path, "others may read it; it should have mode 0600")
            key = load_pem_private_key(path.read_bytes(), None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SigningKeyError(path, error) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise SigningKeyError(path, "it is of another kind")
        return cls(key)

    @property
    def public(self) -> bytes:
        """The public half, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        return self._key.sign(data)


@dataclass(frozen=True, slots=True)
class Checker:
    """The public half."""

    _key: Ed25519PublicKey

    @classmethod
    def load(cls, path: Path) -> Checker:
        """Read a public key, or the public half of a secret one.

        Raises:
            NoSigningKeyError: There is no such file.
            SigningKeyError: It cannot be used.
        """
        try:
            data = path.read_bytes()
            if b"PRIVATE KEY" in data:
                secret = load_pem_private_key(data, None)
                key = secret.public_key()
            else:
                key = load_pem_public_key(data)
        except FileNotFoundError as error:
            raise NoSigningKeyError(path) from error
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SigningKeyError(path, error) from error
        if not isinstance(key, Ed25519PublicKey):
            raise SigningKeyError(path, "it is of another kind")
        return cls(key)

    @classmethod
    def of(cls, raw: bytes) -> Checker:
        """Make one of a key's 32 bytes."""
        return cls(Ed25519PublicKey.from_public_bytes(raw))

    @property
    def raw(self) -> bytes:
        """The key, 32 bytes."""
        return self._key.public_bytes_raw()

    def accepts(self, data: bytes, signature: bytes) -> bool:
        """Return whether `signature` over `data` was made with the secret half."""
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


def public_path(secret: Path) -> Path:
    """Return where the public half of a secret key lies."""
    return secret.with_suffix(".pub")


def _make(path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    public_path(path).write_bytes(public)
    # The secret half last: where it is, the other one is too.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as stream:
        stream.write(secret)
