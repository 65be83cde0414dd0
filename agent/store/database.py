"""Opens SQLite files; a damaged one is set aside under its name, never replaced in silence."""

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BUSY_TIMEOUT_S: Final = 2.0
"""How long a write waits for another process. Readers never block writers in WAL mode."""

_PRIMARY_CODE: Final = 0xFF  # the extended codes of SQLite carry the primary one in the low byte
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


@dataclass(frozen=True, slots=True)
class Opened:
    """A database ready to use, and where a damaged one of that name went, if there was one."""

    connection: sqlite3.Connection
    set_aside: Path | None


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether `error` means that the file is damaged, not that it is busy or the disk full."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & _PRIMARY_CODE) in _DAMAGED


def open_database(path: Path, schema: str, *, durable: bool) -> Opened:
    """Open or create the database at `path`, mode 0600, in WAL mode, autocommit.

    Args:
        path: The file; its directory is created.
        schema: Statements that create what is missing.
        durable: Whether a commit reaches the disk (survives a power cut) or only
            the kernel (survives this process).

    Raises:
        sqlite3.OperationalError: Disk full, no permission, or locked for too long.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        return Opened(_connect(path, schema, durable=durable), None)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
    aside = set_aside(path)
    return Opened(_connect(path, schema, durable=durable), aside)


def set_aside(path: Path) -> Path:
    """Rename the database at `path`, with its journal files, to `<name>.corrupt-<time>`."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    again = 1
    while aside.exists():
        again += 1
        aside = path.with_name(f"{path.name}.corrupt-{stamp}-{again}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the database at `path` beside its writer.

    Raises:
        sqlite3.Error: It is absent, damaged or may not be read.
    """
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )


def _connect(path: Path, schema: str, *, durable: bool) -> sqlite3.Connection:
    path.touch(mode=0o600)
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        # Without it a corrupt page is found at the first query that meets it, perhaps months later.
        _refuse_damage(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        connection.executescript(schema)
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_damage(found: str) -> None:
    if found != "ok":
        error = sqlite3.DatabaseError(found)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error
