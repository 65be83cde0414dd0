"""Who used which model file: one row for each file, workload, executable and kind of access.

Written by the daemon as files are seen for the first time or anew; small, so that years fit.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

from agent.errors import UnknownError
from agent.store.database import open_database, open_for_reading
from agent.store.errors import NoStoreError, StoreUnreadableError
from collectors.models.artifacts import format_of

Access = Literal[
    "read", "write", "map", "rename-from", "rename-to", "remove", "truncate", "link", "change"
]
"""From `rename-from` on, of a name or an attribute; `change` is mode, owner, times and the like."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS uses (
    path TEXT NOT NULL, device INTEGER NOT NULL, inode INTEGER NOT NULL, access TEXT NOT NULL,
    workload TEXT NOT NULL, exe TEXT NOT NULL, pid INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL, format TEXT NOT NULL, sha256 TEXT NOT NULL DEFAULT '',
    first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (path, device, inode, access, workload, exe)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS uses_by_file ON uses (device, inode);
"""


class NeverSeenError(UnknownError):
    """No watched workload was seen to use {0}."""


@dataclass(frozen=True, slots=True)
class Use:
    """One way in which one file was used. Times are Unix nanoseconds; `pid` is the last one's."""

    path: str
    device: int
    inode: int
    access: str
    workload: str
    exe: str
    pid: int
    size_bytes: int
    format: str
    sha256: str
    first_ns: int
    last_ns: int
    count: int

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


class Ledger:
    """The table. One writer, any number of readers beside it."""

    def __init__(self, connection: sqlite3.Connection, set_aside: Path | None = None) -> None:
        """Use an open database; `set_aside` is where a damaged one went before."""
        self._connection = connection
        self.set_aside = set_aside

    @classmethod
    def open(cls, path: Path) -> Ledger:
        """Open or create it for writing.

        Raises:
            StoreUnreadableError: The disk is full, or this user may not.
        """
        try:
            opened = open_database(path, _SCHEMA, durable=False)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnreadableError(path, error) from error
        return cls(opened.connection, opened.set_aside)

    @classmethod
    def open_for_reading(cls, path: Path) -> Ledger:
        """Open it beside the daemon.

        Raises:
            NoStoreError: There is none.
            StoreUnreadableError: This user may not.
        """
        if not path.exists():
            raise NoStoreError(path)
        try:
            return cls(open_for_reading(path))
        except sqlite3.Error as error:
            raise StoreUnreadableError(path, error) from error

    def note(  # noqa: PLR0913 (one argument for each fact of a sighting)
        self,
        *,
        path: str,
        access: Access,
        time_ns: int,
        workload: str,
        pid: int,
        exe: str = "",
        device: int = 0,
        inode: int = 0,
        size_bytes: int = 0,
        sha256: str = "",
    ) -> None:
        """Remember one use; the same again only moves its last time and count.

        Args:
            path: As the kernel named it.
            access: One of `Access`.
            time_ns: Unix time.
            workload: "" for a process that belongs to none.
            pid: Who did it.
            exe: Path of its executable.
            device: As stat names it; 0 when it was not looked at, as for the next two.
            inode: Of the file.
            size_bytes: Of the file.
            sha256: Of its content; "" when it was not read.

        Raises:
            sqlite3.Error: The disk is full or the database locked too long.
        """
        self._connection.execute(
            "INSERT INTO uses VALUES (?,?,?,?,?,?,?,?,?,?,?,?,1) "
            "ON CONFLICT DO UPDATE SET pid = excluded.pid, count = count + 1,"
            " first_ns = min(first_ns, excluded.first_ns),"
            " last_ns = max(last_ns, excluded.last_ns),"
            " size_bytes = iif(excluded.size_bytes = 0, size_bytes, excluded.size_bytes),"
            " sha256 = iif(excluded.sha256 = '', sha256, excluded.sha256)",
            (
                path, _signed(device), _signed(inode), access, workload, exe, pid, size_bytes,
                format_of(path), sha256, time_ns, time_ns,
            ),
        )  # fmt: skip

    def digested(self, device: int, inode: int, size_bytes: int, sha256: str) -> None:
        """Remember what a file held when it was last read, under every name it was used by.

        Raises:
            sqlite3.Error: The disk is full or the database locked too long.
        """
        self._connection.execute(
            "UPDATE uses SET size_bytes = ?, sha256 = ? WHERE device = ? AND inode = ?",
            (size_bytes, sha256, _signed(device), _signed(inode)),
        )

    def history(self, path: str) -> list[Use]:
        """Return every use of a file, or of all below a directory, oldest first.

        Other names of the same file (device and inode) belong to it.

        Raises:
            NeverSeenError: There was none.
        """
        below = path.rstrip("/") + "/"
        rows = self._connection.execute(
            "SELECT DISTINCT u.* FROM uses u WHERE u.path = :path OR substr(u.path, 1, :n) = :below"
            " OR (u.inode != 0 AND EXISTS (SELECT 1 FROM uses o WHERE o.path = :path"
            " AND o.device = u.device AND o.inode = u.inode))"
            " ORDER BY u.first_ns, u.path",
            {"path": path, "below": below, "n": len(below)},
        ).fetchall()
        if not rows:
            raise NeverSeenError(path)
        return [_use(row) for row in rows]

    def used_by(self, workload: str) -> list[Use]:
        """Return every use by one workload, oldest first; empty when there was none."""
        rows = self._connection.execute(
            "SELECT * FROM uses WHERE workload = ? ORDER BY first_ns, path", (workload,)
        )
        return [_use(row) for row in rows]

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sight(path: str) -> tuple[int, int, int]:
    """Return device, inode and size of a file now; zeros when it is gone or hidden from here."""
    try:
        found = os.stat(path)  # noqa: PTH116 (text in, numbers out)
    except OSError:
        return 0, 0, 0
    return found.st_dev, found.st_ino, found.st_size


def _signed(number: int) -> int:
    """Fold an unsigned 64-bit number into SQLite's signed one; btrfs inodes may need it."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _use(row: Sequence[Any]) -> Use:
    path, device, inode, *rest = row
    return Use(path, device % (1 << 64), inode % (1 << 64), *rest)
