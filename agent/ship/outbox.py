"""What central has not acknowledged yet: on disk, numbered, bounded by rows and bytes."""

import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from agent.ship.wire import BATCH_BYTES, BATCH_ROWS, fits, pack_verdict
from agent.store.backlog import Backlog
from agent.store.database import is_damage, open_database, set_aside
from agent.store.levels import LEVELS, level_rank

MAX_ROWS: Final = 100_000
KEEP_WAITING: Final = 1_000
"""Verdicts kept in memory while the disk is full."""

_PORTION: Final = KEEP_WAITING // 2

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS outbox (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, level INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS outbox_by_level ON outbox (level, sequence);
CREATE TABLE IF NOT EXISTS dropped (level INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS life (
    one INTEGER PRIMARY KEY CHECK (one = 1), epoch TEXT NOT NULL, acked INTEGER NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """Verdicts on their way: sequences rising, each with its body as MessagePack."""

    rows: tuple[tuple[int, bytes], ...]

    @property
    def last(self) -> int:
        """The sequence whose acknowledgement covers all of them."""
        return self.rows[-1][0]


class Outbox:
    """Verdicts that wait for central; used by one thread at a time.

    When it is full the oldest of the lowest level goes, and is counted. Sequence
    numbers rise over restarts and are never used twice within one `epoch`; each
    is on the disk (fsync) before it can be sent, also through a power cut.

    Attributes:
        epoch: Names this outbox's life; a new file is a new epoch.
        acked: The last sequence that any central acknowledged.
        set_aside: Where a damaged outbox went; None if there was none.
    """

    def __init__(self, path: Path, max_bytes: int, max_rows: int = MAX_ROWS) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._max_rows = max_rows
        self._waiting: Backlog[bytes] = Backlog(KEEP_WAITING)
        self._in_flight = 0
        self._rows = self._bytes = 0
        self._open()

    @classmethod
    def open(cls, path: Path, *, max_bytes: int, max_rows: int = MAX_ROWS) -> Self:
        """Open or create the outbox at `path`; a damaged one is set aside under its name.

        Raises:
            sqlite3.Error, OSError: The directory cannot be written.
        """
        return cls(path, max_bytes, max_rows)

    def _open(self) -> None:
        opened = open_database(self.path, _SCHEMA, durable=True)
        self.set_aside = opened.set_aside
        self._connection = opened.connection
        run = self._connection.execute
        run("INSERT OR IGNORE INTO life VALUES (1, ?, 0)", (uuid.uuid4().hex,))
        self.epoch, self.acked = run("SELECT epoch, acked FROM life").fetchone()
        sql = "SELECT count(*), coalesce(sum(length(body)), 0) FROM outbox"
        self._rows, self._bytes = run(sql).fetchone()
        self._dropped = [0] * len(LEVELS)
        for level, count in run("SELECT level, count FROM dropped"):
            self._dropped[level] = count

    def close(self) -> None:
        """Write what waits in memory, if the disk takes it, and close."""
        self.put()
        self._connection.close()

    def __len__(self) -> int:
        """Verdicts waiting for central, on disk and in memory."""
        return int(self._rows) + len(self._waiting)

    @property
    def bytes(self) -> int:
        """Bytes of the verdicts on disk."""
        return int(self._bytes)

    @property
    def dropped(self) -> dict[str, int]:
        """Verdicts given up over this outbox's life, by level; in memory ones since the start."""
        counts = zip(self._dropped, self._waiting.lost, strict=True)
        return dict(zip(LEVELS, map(sum, counts), strict=True))

    def put(self, *verdicts: Mapping[str, Any]) -> None:
        """Add verdicts; what the disk does not take now waits in memory, newest and worst kept.

        Args:
            verdicts: Each as `plain` gives it.
        """
        # In portions, so that a burst the disk does take is never given up in memory.
        for start in range(0, max(len(verdicts), 1), _PORTION):
            for verdict in verdicts[start : start + _PORTION]:
                self._wait(verdict)
            try:
                self._write_waiting()
            except sqlite3.DatabaseError as error:
                self.recover(error)

    def recover(self, error: sqlite3.Error) -> None:
        """Set the file aside and begin a new one if `error` means damage; else do nothing."""
        if is_damage(error):
            self._connection.close()
            aside = set_aside(self.path)
            self._open()
            self.set_aside = aside

    def batch(self) -> Batch | None:
        """Return the oldest verdicts that fit one message; None when there are none."""
        sql = "SELECT sequence, body FROM outbox ORDER BY sequence LIMIT ?"
        rows: list[tuple[int, bytes]] = []
        size = 0
        for sequence, body in self._connection.execute(sql, (BATCH_ROWS,)).fetchall():
            size += len(body)
            if rows and size > BATCH_BYTES:
                break
            rows.append((sequence, body))
        self._in_flight = rows[-1][0] if rows else 0
        return Batch(tuple(rows)) if rows else None

    def acknowledge(self, sequence: int) -> int:
        """Forget verdicts up to `sequence`, which central has stored; return how many."""
        run = self._connection.execute
        sql = "SELECT count(*), coalesce(sum(length(body)), 0) FROM outbox WHERE sequence <= ?"
        rows, size = run(sql, (sequence,)).fetchone()
        run("BEGIN IMMEDIATE")
        try:
            run("DELETE FROM outbox WHERE sequence <= ?", (sequence,))
            run("UPDATE life SET acked = max(acked, ?)", (sequence,))
            run("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                run("ROLLBACK")
            raise
        self.acked = max(self.acked, sequence)
        self._rows, self._bytes = self._rows - rows, self._bytes - size
        self._in_flight = 0
        return int(rows)

    def _wait(self, verdict: Mapping[str, Any]) -> None:
        rank = level_rank(verdict["level"])
        body = pack_verdict(verdict)
        if fits(body):
            self._waiting.push(body, rank)
        else:  # central would refuse it, and all behind it would wait
            self._waiting.lost[rank] += 1

    def _write_waiting(self) -> None:
        if not self._waiting:
            return
        run = self._connection.execute
        rows, size, dropped = self._rows, self._bytes, list(self._dropped)
        written: list[tuple[bytes, int]] = []
        run("BEGIN IMMEDIATE")
        try:
            while (oldest := self._waiting.pop()) is not None:
                written.append(oldest)
                body, rank = oldest
                run("INSERT INTO outbox (level, body) VALUES (?, ?)", (rank, body))
                self._rows, self._bytes = self._rows + 1, self._bytes + len(body)
            self._make_room()
            run("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                run("ROLLBACK")
            self._rows, self._bytes, self._dropped = rows, size, dropped
            for body, rank in written:
                self._waiting.push(body, rank)
            raise

    def _make_room(self) -> None:
        run = self._connection.execute
        before = list(self._dropped)
        while self._rows > self._max_rows or self._bytes > self._max_bytes:
            # What is on its way is counted as sent or resent, not as dropped.
            sql = (
                "SELECT sequence, level, length(body) FROM outbox WHERE sequence > ?"
                " ORDER BY level, sequence LIMIT 1"
            )
            row = run(sql, (self._in_flight,)).fetchone()
            if row is None:
                break
            run("DELETE FROM outbox WHERE sequence = ?", (row[0],))
            self._rows, self._bytes = self._rows - 1, self._bytes - row[2]
            self._dropped[row[1]] += 1
        for level, count in enumerate(self._dropped):
            if count != before[level]:
                run("INSERT OR REPLACE INTO dropped VALUES (?, ?)", (level, count))
