"""The archive: members as they come, a manifest of all of them at the end, a name only then.

Compressed by the `zstd` program, which every current distribution has: no library of
compression runs in a process with our privileges. Without it gzip does, and the name says so.
"""

import hashlib
import io
import os
import shutil
import stat
import subprocess
import tarfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Self

from agent.confined import confined
from agent.evidence.bounds import Bounds
from agent.evidence.errors import EvidenceError, UnsafePlaceError
from agent.evidence.pieces import Piece

MANIFEST: Final = "manifest.json"
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Sealed:
    """A finished bundle: what is written to the log."""

    path: Path
    bytes: int
    sha256: str
    manifest_sha256: str
    files: int
    incomplete: int


class Bundle:
    """Writes one archive below `directory`; nothing of it is left unless it was sealed.

    Args:
        directory: Made if it is not there; must be ours alone.
        name: Of the bundle, without the ending.
        bounds: Limits.

    Raises:
        EvidenceError: It cannot be written, there or at any later point.
    """

    def __init__(self, directory: Path, name: str, bounds: Bounds) -> None:
        self._directory = directory
        self._left = bounds.bundle_bytes
        self._members: list[dict[str, Any]] = []
        self._begun = int(time.time())
        self._sealed = False
        zstd = shutil.which("zstd")
        self.path = directory / f"{name}.tar.{'zst' if zstd else 'gz'}"
        try:
            self._place = _own_directory(directory)
            self._file = self._create()
        except OSError as error:
            raise EvidenceError(directory, error.strerror) from error
        command = [zstd, "-q", "-3", "-c"] if zstd else ["gzip", "-c"]
        self._packer = subprocess.Popen(
            [*confined(), *command], stdin=subprocess.PIPE, stdout=self._file
        )
        assert self._packer.stdin is not None  # noqa: S101 - a pipe was asked for
        self._into: IO[bytes] = self._packer.stdin
        self._tar = tarfile.open(fileobj=self._into, mode="w|")  # noqa: SIM115 - `seal` closes it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._sealed:
            self._packer.kill()
            with suppress(OSError):  # what it had not taken yet is given up
                self._into.close()
            self._packer.wait()
            os.unlink(self._partial, dir_fd=self._place)
        os.close(self._file)
        os.close(self._place)

    @property
    def _partial(self) -> str:
        return f"{self.path.name}.partial"

    def add(self, piece: Piece) -> None:
        """Write one member; what is beyond the bounds leaves only its line in the manifest."""
        note, content = piece.note, piece.content
        if len(content) > self._left:
            note, content = "left out: the bundle is full", b""
        self._left -= len(content)
        self._members.append(
            {
                "name": piece.name,
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
            | ({"note": note} if note else {})
        )
        self._write(piece.name, content)

    def seal(self, facts: Mapping[str, Any]) -> Sealed:
        """Write the manifest with `facts` of the whole, then give the bundle its name."""
        manifest = Piece.json(MANIFEST, dict(facts) | {"members": self._members})
        self._write(manifest.name, manifest.content)
        try:
            self._tar.close()
            self._into.close()
        except OSError as error:
            raise self._failed(error) from error
        if self._packer.wait():
            raise EvidenceError(self.path, "no space is left, or the packer failed")
        try:
            os.fsync(self._file)
            os.rename(self._partial, self.path.name, src_dir_fd=self._place, dst_dir_fd=self._place)
            self._sealed = True
            os.fsync(self._place)
        except OSError as error:
            raise self._failed(error) from error
        os.lseek(self._file, 0, os.SEEK_SET)
        with os.fdopen(os.dup(self._file), "rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        return Sealed(
            path=self.path,
            bytes=os.fstat(self._file).st_size,
            sha256=digest,
            manifest_sha256=hashlib.sha256(manifest.content).hexdigest(),
            files=len(self._members),
            incomplete=sum("note" in member for member in self._members),
        )

    def _write(self, name: str, content: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = len(content), 0o600, self._begun
        try:
            self._tar.addfile(member, io.BytesIO(content))
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> EvidenceError:
        # A packer that met a full disk is gone: all that is felt here is a broken pipe.
        broken = isinstance(error, BrokenPipeError)
        return EvidenceError(self.path, "no space is left" if broken else error.strerror)

    def _create(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(self._partial, flags, 0o600, dir_fd=self._place)


def _own_directory(directory: Path) -> int:
    """Return a descriptor of a directory that nobody else can change; links do not count as one."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    found = os.fstat(fd)
    if found.st_uid != os.geteuid() or found.st_mode & _WRITABLE_BY_OTHERS:
        os.close(fd)
        raise UnsafePlaceError(directory, "somebody else")
    return fd
