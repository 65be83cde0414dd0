"""A model directory as somebody approved it: an inventory and a signature over it.

The signature covers the canonical JSON of the manifest behind a line that says what it is, so that
it can stand for nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.errors import AgentError, NotReadyError, UnknownError
from agent.models.inventory import Entry
from agent.models.signing import Checker, Signer
from agent.store.plain import canonical

_DOMAIN: Final = b"inferward model manifest 1\n"
_FORMAT: Final = 1
_SIZE_MAX: Final = 256 << 20


class NotTrustedError(NotReadyError):
    """{0} was never approved here. `agent models trust {0}` does it, after a look at it."""


class ForgedManifestError(AgentError):
    """The manifest {0} is not what this key signed. Find out who changed it before going on."""


class DamagedManifestError(AgentError):
    """{0} is no manifest: {1}."""


class NoDirectoryError(UnknownError):
    """There is no directory {0}."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was approved: `time_ns` is Unix time, `root` where it lay then."""

    root: str
    time_ns: int
    entries: tuple[Entry, ...]

    def body(self) -> dict[str, Any]:
        """Return what is signed."""
        return {
            "format": _FORMAT,
            "root": self.root,
            "time_ns": self.time_ns,
            "entries": [entry.as_json() for entry in self.entries],
        }


def default_path(state: Path, root: Path) -> Path:
    """Return where the manifest of a directory lies: outside it, where its writers cannot reach."""
    real = str(root.resolve())
    name = hashlib.sha256(os.fsencode(real)).hexdigest()[:16]
    return state / "trust" / f"{root.resolve().name or 'root'}-{name}.json"


def approve(root: Path, entries: list[Entry], signer: Signer, path: Path) -> Manifest:
    """Sign these entries and write them to `path`; it appears whole or not at all.

    Raises:
        AgentError: It cannot be written.
    """
    manifest = Manifest(str(root.resolve()), time.time_ns(), tuple(entries))
    body = manifest.body()
    signature = signer.sign(_DOMAIN + canonical(body)).hex()
    text = json.dumps({"manifest": body, "signature": signature}, indent=1)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside.write_text(text + "\n", encoding="ascii")
        beside.replace(path)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise AgentError(message) from error
    finally:
        beside.unlink(missing_ok=True)
    return manifest


def read(path: Path, root: Path, checker: Checker) -> Manifest:
    """Return the manifest at `path` after its signature was found good.

    Raises:
        NotTrustedError: There is none.
        ForgedManifestError: The signature is not this key's.
        DamagedManifestError: It is no manifest.
    """
    if not path.exists():
        raise NotTrustedError(root)
    return read_any(path, [checker])


def read_any(path: Path, checkers: Sequence[Checker]) -> Manifest:
    """Return the manifest at `path` after one of these keys was found to have signed it.

    Raises:
        ForgedManifestError: None of them did.
        DamagedManifestError: It is no manifest.
    """
    try:
        with path.open("rb") as stream:
            table = json.loads(stream.read(_SIZE_MAX))
        body, signature = table["manifest"], bytes.fromhex(table["signature"])
        signed = _DOMAIN + canonical(body)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedManifestError(path, error) from error
    if not any(checker.accepts(signed, signature) for checker in checkers):
        raise ForgedManifestError(path)
    if body.get("format") != _FORMAT:
        raise DamagedManifestError(path, f"format {body.get('format')} is of another version")
    entries = tuple(Entry(**entry) for entry in body["entries"])
    return Manifest(body["root"], body["time_ns"], entries)
