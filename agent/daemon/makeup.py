"""What a server is made of: its executable by build, its models by file. Facts for its baseline.

A build id names the program whatever its path or its time of installation says; without one, the
first and last megabyte are hashed. Models are told by size and time of change: a digest of many
gigabytes would take a disk minutes, and `agent models verify` answers that question.
"""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collectors.processes import Process

EXECUTABLE: Final = "executable"
MOST_MODELS: Final = 64

_START_NS: Final = 20_000_000
"""A process's start is told in hundredths of a second, rounded down; a file's time in ticks."""

_ENDS_BYTES: Final = 1 << 20
_MOST_NOTES_BYTES: Final = 64 << 10
_ELF64: Final = struct.Struct("<4sBB10xHHIQQQIHHHHHH")
_SEGMENT: Final = struct.Struct("<IIQQQQQQ")
_NOTE: Final = struct.Struct("<III")
_PT_NOTE: Final = 4
_GNU_BUILD_ID: Final = 3


Builds = dict[tuple[int, int, int], str]


def makeup(process: Process, models: Iterable[str], builds: Builds) -> Mapping[str, str]:
    """Return facts by name; what cannot be read is left out.

    Args:
        process: A root of the workload.
        models: Paths of model files as it names them.
        builds: Known ones by device, inode and time of change; what is read is added.
    """
    root = Path(f"/proc/{process.pid}/root")
    started_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    started_ns += process.start_time_ns
    facts = {}
    if (build := _build(Path(f"/proc/{process.pid}/exe"), builds)) is not None:
        facts[EXECUTABLE] = f"{process.exe} ({build})"
    for model in models:
        try:
            found = (root / model.lstrip("/")).stat()
        except OSError:
            continue  # gone, or out of sight: what is missing changes nothing
        if found.st_mtime_ns > started_ns + _START_NS:
            continue  # changed since: not what this process was started with
        changed = datetime.fromtimestamp(found.st_mtime_ns // 1_000_000_000, tz=UTC)
        facts[model] = f"{found.st_size:,} bytes of {changed:%Y-%m-%d %H:%M:%S} UTC"
        if len(facts) > MOST_MODELS:
            break
    return facts


def _build(path: Path, builds: Builds) -> str | None:
    try:
        with path.open("rb") as file:
            found = path.stat()
            key = (found.st_dev, found.st_ino, found.st_mtime_ns)
            if key not in builds:
                builds[key] = build_of(file, found.st_size)
    except OSError:
        return None
    return builds[key]


def build_of(file: BinaryIO, size_bytes: int) -> str:
    """Return the GNU build id of an ELF file, or a digest of both its ends.

    Args:
        file: At its beginning.
        size_bytes: Of the whole.
    """
    try:
        found = _build_id(file)
    except (struct.error, ValueError):
        found = ""
    if found:
        return f"build {found}"
    file.seek(0)
    digest = hashlib.sha256(file.read(_ENDS_BYTES))
    file.seek(max(_ENDS_BYTES, size_bytes - _ENDS_BYTES))
    digest.update(file.read(_ENDS_BYTES))
    digest.update(str(size_bytes).encode())
    return f"sha256 of both ends {digest.hexdigest()[:40]}"


def _build_id(file: BinaryIO) -> str:
    """Read the notes of a 64-bit little-endian ELF file, see elf(5); empty without a build id."""
    head = _ELF64.unpack(file.read(_ELF64.size))
    magic, size, order, segments_at, each, count = *head[:3], head[7], head[11], head[12]
    if magic != b"\x7fELF" or size != 2 or order != 1 or each != _SEGMENT.size:  # noqa: PLR2004 - ELFCLASS64
        return ""
    file.seek(segments_at)
    raw = file.read(each * count)
    for kind, _, at, _, _, length, _, _ in _SEGMENT.iter_unpack(raw):
        if kind == _PT_NOTE:
            file.seek(at)
            if found := _in_notes(file.read(min(length, _MOST_NOTES_BYTES))):
                return found
    return ""


def _in_notes(notes: bytes) -> str:
    at = 0
    while at + _NOTE.size <= len(notes):
        name_size, size, kind = _NOTE.unpack_from(notes, at)
        name_at = at + _NOTE.size
        content_at = name_at + (name_size + 3 & ~3)
        if kind == _GNU_BUILD_ID and notes[name_at : name_at + 4] == b"GNU\0":
            return notes[content_at : content_at + size].hex()
        at = content_at + (size + 3 & ~3)
    return ""
