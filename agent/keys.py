"""The CURVE keys of this machine: its own key pairs, and the public keys it lets in.

`<state>/keys/host.key` and `central.key` hold a pair each; `allowed/<host>.pub`
holds what a host of that name proves itself with. Every file is for its owner.
"""

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.errors import AgentError, NotReadyError, RefusedError, UnknownError

ROLES: Final = ("host", "central")
KEY_LENGTH: Final = 40
"""Characters of a key in Z85: 32 bytes, 5 characters for each 4."""

_Z85: Final = (
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
)
_Z85_GROUP: Final = 5
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


class KeyFormError(AgentError):
    """This is no public key: {0!r}. It has 40 characters of Z85, as `agent keys show` prints it."""


class HostNameError(AgentError):
    """This is no host name: {0!r}. It is letters, digits, dots, dashes and underscores."""


class KeyExistsError(RefusedError):
    """{0} exists and is not overwritten. Move it away first if it is to be replaced."""


class NoKeyError(NotReadyError):
    """There is no {0} key in {1}. Make one with `agent keys new {0}`."""


class UnknownHostKeyError(UnknownError):
    """No host called {0!r} is allowed. `agent keys show` lists those that are."""


class KeyInUseError(RefusedError):
    """That key is already allowed for the host {0!r}: each host has a key of its own."""


class KeyFileError(AgentError):
    """{0} cannot be used: {1}."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that may be shown. `name` is the host it stands for, or what it was called at first."""

    role: str
    name: str
    public: str


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key pair in Z85; the secret half never leaves this machine, nor its own repr."""

    public: str
    secret: str

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public!r})"


def check_public_key(text: str) -> str:
    """Return `text` if it is a CURVE key in Z85 (https://rfc.zeromq.org/spec/32/).

    Raises:
        KeyFormError: It is not.
    """
    if len(text) != KEY_LENGTH or set(text) - set(_Z85):
        raise KeyFormError(text)
    for start in range(0, KEY_LENGTH, _Z85_GROUP):
        number = 0
        for character in text[start : start + _Z85_GROUP]:
            number = number * len(_Z85) + _Z85.index(character)
        if number >> 32:
            raise KeyFormError(text)
    return text


def check_host_name(name: str) -> str:
    """Return `name` if a host may be called so.

    Raises:
        HostNameError: It may not; the name becomes a file name and a column.
    """
    if not _HOST_NAME.fullmatch(name):
        raise HostNameError(name)
    return name


class KeyStore:
    """The keys below one directory.

    Args:
        path: The directory, `<state>/keys`; made with mode 0700 at the first key.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def allowed_path(self) -> Path:
        """The directory of the public keys that central lets in, one file for each host."""
        return self.path / "allowed"

    def new(self, role: str, name: str) -> PublicKey:
        """Make the key pair of `role`, "host" or "central", and return what may be shown of it.

        Raises:
            KeyExistsError: There is one.
            HostNameError: `name` cannot be a host's.
            UnknownError: There is no such role.
            KeyFileError: The directory cannot be written.
        """
        from agent.ship.curve import new_pair  # noqa: PLC0415 - only this command needs ZeroMQ

        file = self._file(role)
        check_host_name(name)
        pair = new_pair()
        _write_new(file, f'name = "{name}"\npublic = "{pair.public}"\nsecret = "{pair.secret}"\n')
        return PublicKey(role, name, pair.public)

    def pair(self, role: str) -> KeyPair:
        """Return the key pair of `role`.

        Raises:
            NoKeyError: There is none yet.
            KeyFileError: Its file is damaged, unreadable, or readable by others.
        """
        facts = self._read(role)
        return KeyPair(facts["public"], facts["secret"])

    def show(self) -> tuple[PublicKey, ...]:
        """Return every key here that may be shown: own ones first, then role "allowed" by name."""
        own = [
            PublicKey(role, facts["name"], facts["public"])
            for role in ROLES
            if self._file(role).exists()
            for facts in (self._read(role),)
        ]
        allowed = [PublicKey("allowed", name, key) for key, name in self.allowed().items()]
        return (*own, *sorted(allowed, key=lambda key: key.name))

    def allowed(self) -> dict[str, str]:
        """Return the hosts that may speak to central: public key to host name.

        Files that hold no key, or a name no host may have, let nobody in.
        """
        found: dict[str, str] = {}
        for file in sorted(self.allowed_path.glob("*.pub")):
            try:
                key = check_public_key(file.read_text(encoding="ascii").strip())
                found.setdefault(key, check_host_name(file.stem))
            except (KeyFormError, HostNameError, OSError, UnicodeError):
                continue  # revoked while we looked, or never a key: not allowed either way
        return found

    def allow(self, name: str, public_z85: str) -> PublicKey:
        """Let the host `name` speak to central with this key.

        Raises:
            HostNameError, KeyFormError: One of the two has not the form.
            KeyExistsError: That host has a key; revoke it first.
            KeyInUseError: Another host has this key.
            KeyFileError: The directory cannot be written.
        """
        check_host_name(name)
        key = check_public_key(public_z85.strip())
        if (other := self.allowed().get(key)) not in {None, name}:
            raise KeyInUseError(other)
        _write_new(self.allowed_path / f"{name}.pub", key + "\n")
        return PublicKey("allowed", name, key)

    def revoke(self, name: str) -> None:
        """Let the host `name` speak to central no more; a connection it has is refused at once.

        Raises:
            UnknownHostKeyError: It was not allowed.
        """
        file = self.allowed_path / f"{check_host_name(name)}.pub"
        try:
            file.unlink()
        except FileNotFoundError as error:
            raise UnknownHostKeyError(name) from error
        except OSError as error:
            raise KeyFileError(file, error.strerror) from error

    def _file(self, role: str) -> Path:
        if role not in ROLES:
            raise UnknownError("role", role)
        return self.path / f"{role}.key"

    def _read(self, role: str) -> dict[str, str]:
        file = self._file(role)
        try:
            if file.stat().st_mode & 0o077:
                raise KeyFileError(file, "others may read it; it should have mode 0600")
            facts = tomllib.loads(file.read_text(encoding="ascii"))
            check_public_key(facts["secret"])
            return {
                "name": str(facts["name"]),
                "public": check_public_key(facts["public"]),
                "secret": facts["secret"],
            }
        except FileNotFoundError as error:
            raise NoKeyError(role, self.path) from error
        except OSError as error:
            raise KeyFileError(file, error.strerror) from error
        except (tomllib.TOMLDecodeError, UnicodeError, KeyError, TypeError, KeyFormError) as error:
            raise KeyFileError(file, "it does not hold a key pair") from error


def _write_new(file: Path, text: str) -> None:
    """Create `file` with mode 0600; it appears whole or not at all, and never replaces another."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside.unlink(missing_ok=True)
        beside.touch(mode=0o600, exist_ok=False)
        beside.write_text(text, encoding="ascii")
        os.link(beside, file)
    except FileExistsError as error:
        raise KeyExistsError(file) from error
    except OSError as error:
        raise KeyFileError(file, error.strerror) from error
    finally:
        beside.unlink(missing_ok=True)
