"""Archives that carry models: zip (PyTorch, NumPy, Keras, TorchServe) and tar (NeMo, old PyTorch).

An archive has two tables of contents, and loaders differ in which they believe: what Python's
reader refuses is read once more without the checks.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import IO, Final

from collectors.models import streams
from collectors.models.findings import Finding, Severity
from collectors.models.place import DEPTH_MAX, Place

Look = Callable[[Place, IO[bytes], int], Iterator[Finding]]
MEMBERS_MAX: Final = 100_000
_ENCRYPTED: Final = 1  # APPNOTE.TXT 4.4.4, bit 0


def scan_zip(place: Place, stream: IO[bytes], look: Look) -> Iterator[Finding]:
    """Yield what is wrong with the members of a zip."""
    if place.depth >= DEPTH_MAX:
        yield place.finding("unfinished", Severity.WARNING, f"archives nested {DEPTH_MAX} deep")
        return
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            for member in members[:MEMBERS_MAX]:
                yield from _member(place, stream, archive, member, look)
            if len(members) > MEMBERS_MAX:
                words = f"only {MEMBERS_MAX} of {len(members)} members were looked at"
                yield place.finding("unfinished", Severity.WARNING, words)
    except streams.BROKEN as error:
        # Loaders differ in what they still accept of a broken archive.
        yield place.finding("broken", Severity.WARNING, f"not a whole archive: {error}")


def ends_as_zip(stream: IO[bytes]) -> bool:
    """Return whether a zip lies at the end of a file that begins otherwise."""
    try:
        with zipfile.ZipFile(stream) as archive:
            return bool(archive.infolist())
    except (*streams.BROKEN, OSError):
        return False
    finally:
        stream.seek(0)


def _member(
    place: Place, stream: IO[bytes], archive: zipfile.ZipFile, member: zipfile.ZipInfo, look: Look
) -> Iterator[Finding]:
    inner = place.inside(member.filename)
    if member.is_dir():
        return
    try:
        if member.flag_bits & _ENCRYPTED:
            message = "it says that it is encrypted"
            raise zipfile.BadZipFile(message)
        yield from _names(inner, member.filename)
        with archive.open(member) as part:
            found = list(look(inner, part, member.file_size))
        yield from found
        return
    except streams.BROKEN as error:
        problem = str(error) or type(error).__name__
    encrypted = bool(member.flag_bits & _ENCRYPTED)
    rule = "unread" if encrypted else "broken"
    yield inner.finding(rule, Severity.WARNING, f"a checking reader refuses it: {problem}")
    try:
        data = streams.raw_member(stream, member)
        for one in look(inner, io.BytesIO(data), len(data)):
            if one.severity is Severity.DANGER:
                yield one
    except streams.BROKEN:
        return  # said above: it is broken


def scan_tar(place: Place, stream: IO[bytes], look: Look) -> Iterator[Finding]:
    """Yield what is wrong with the members of a tar, packed or not."""
    if place.depth >= DEPTH_MAX:
        yield place.finding("unfinished", Severity.WARNING, f"archives nested {DEPTH_MAX} deep")
        return
    try:
        with tarfile.open(fileobj=stream, mode="r:*") as archive:
            for count, member in enumerate(archive):
                if count > MEMBERS_MAX:
                    words = f"only {MEMBERS_MAX} members were looked at"
                    yield place.finding("unfinished", Severity.WARNING, words)
                    return
                yield from _tar_member(place, archive, member, look)
    except (tarfile.TarError, *streams.BROKEN) as error:
        yield place.finding("broken", Severity.WARNING, f"not a whole archive: {error}")


def _tar_member(
    place: Place, archive: tarfile.TarFile, member: tarfile.TarInfo, look: Look
) -> Iterator[Finding]:
    inner = place.inside(member.name)
    target = PurePath(member.linkname) if member.issym() or member.islnk() else None
    for name in filter(None, (PurePath(member.name), target)):
        if name.is_absolute() or ".." in name.parts:
            words = f"unpacking it writes outside its directory: {name}"
            yield inner.finding("link-outside", Severity.DANGER, words)
    part = archive.extractfile(member) if member.isfile() else None
    if part is not None:
        yield from _names(inner, member.name)
        try:
            with part:
                yield from look(inner, part, member.size)
        except streams.BROKEN as error:
            yield inner.finding("broken", Severity.WARNING, f"it breaks off: {error}")


def _names(inner: Place, name: str) -> Iterator[Finding]:
    path = PurePath(name)
    # TorchScript's own language stands in code/, and cannot reach Python.
    if path.suffix == ".py" and "code" not in path.parts:
        yield inner.finding("archive-code", Severity.WARNING, f"it carries {path.name}")
    if path.is_absolute() or ".." in path.parts:
        words = f"unpacking it writes outside its directory: {name}"
        yield inner.finding("link-outside", Severity.DANGER, words)
