"""Looks into one model file by its content: names and suffixes are what an attacker chooses."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from collectors.models.findings import Finding, Severity
from collectors.models.pickles import imports, is_dangerous, is_harmless

# The safetensors format itself allows no longer header.
HEADER_MAX = 100_000_000
_CHUNK = 1 << 20
_PICKLE_SUFFIXES = frozenset({".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt", ".joblib"})


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces of 1 MiB."""
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(_CHUNK):
            found.update(piece)
    return found.hexdigest()


def scan_path(path: Path) -> list[Finding]:
    """Return what is wrong with a model file; empty when nothing was found.

    A file that cannot be read, or breaks off, is a finding and never a pass.
    """
    try:
        with path.open("rb") as stream:
            return list(_scan(path, stream))
    except OSError as error:
        return [Finding(path, "unread", Severity.WARNING, f"could not be read: {error.strerror}")]


def _scan(path: Path, stream: IO[bytes]) -> Iterator[Finding]:
    head = stream.read(16)
    stream.seek(0)
    if head.startswith(b"PK"):
        yield from _archive(path, stream)
    elif path.suffix == ".safetensors" or (len(head) > 8 and head[8:9] == b"{"):  # noqa: PLR2004 (length, then JSON)
        if problem := _header_problem(stream, path.stat().st_size):
            yield Finding(path, "safetensors-header", Severity.WARNING, problem)
    elif head.startswith(b"\x80") or path.suffix in _PICKLE_SUFFIXES:
        yield from _pickle(path, stream)


def _archive(path: Path, stream: IO[bytes]) -> Iterator[Finding]:
    try:
        with zipfile.ZipFile(stream) as archive:
            for member in archive.infolist():
                if member.flag_bits & 1:
                    words = "a member is encrypted and cannot be looked at"
                    yield Finding(path, "unread", Severity.WARNING, words, member.filename)
                    continue
                with archive.open(member) as part:
                    start = part.read(1)
                if start == b"\x80" or Path(member.filename).suffix == ".pkl":
                    with archive.open(member) as part:
                        yield from _pickle(path, part, member.filename)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        # Loaders differ in what they still accept of a broken archive.
        yield Finding(path, "broken", Severity.WARNING, f"not a whole archive: {error}")


def _pickle(path: Path, stream: IO[bytes], part: str = "") -> Iterator[Finding]:
    found = imports(stream)
    dangerous = [name for name in found.names if is_dangerous(name)]
    unknown = [n for n in found.names if not is_dangerous(n) and not is_harmless(n)]
    if dangerous:
        words = f"loading it runs {', '.join(dangerous)}"
        yield Finding(path, "pickle-danger", Severity.DANGER, words, part)
    if unknown:
        words = f"loading it imports {', '.join(unknown)}"
        yield Finding(path, "pickle-unknown", Severity.WARNING, words, part)
    if found.broken:
        words = f"breaks off, after it may have run: {found.broken}"
        yield Finding(path, "broken", Severity.WARNING, words, part)
    if not (dangerous or unknown or found.broken):
        words = "its format can carry code; what it names now only builds values"
        yield Finding(path, "pickle-present", Severity.NOTICE, words, part)


def _header_problem(stream: IO[bytes], size: int) -> str:
    """Return what breaks the rules of a safetensors header; "" when all hold."""
    length = int.from_bytes(stream.read(8), "little")
    if length > min(HEADER_MAX, size - 8):
        return "its header is longer than the file or than the format allows"
    try:
        table = json.loads(stream.read(length))
        spans = sorted(e["data_offsets"] for name, e in table.items() if name != "__metadata__")
        end = 0
        for low, high in spans:
            if low != end or high < low:
                return "its tensors overlap or leave a gap"
            end = high
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return "its header is not a table of tensors"
    return "" if end == size - 8 - length else "its tensors do not fill the file"
