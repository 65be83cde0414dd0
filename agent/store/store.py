"""Verdicts and events of this host: one SQLite file, one writer, any number of readers."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from agent.store.backlog import Backlog
from agent.store.chain import GENESIS, ChainReport, check, link
from agent.store.database import is_damage, open_database, open_for_reading, set_aside
from agent.store.errors import (
    AmbiguousVerdictError,
    NoStoreError,
    StoreUnreadableError,
    UnknownVerdictError,
)
from agent.store.levels import LEVELS, level_rank
from agent.store.plain import canonical, plain

KEEP_ENTRIES: Final = 100_000
"""Log entries kept on disk: at some 4 KiB each about 400 MiB, years of a calm host."""

KEEP_WAITING: Final = 1_000
"""Entries kept in memory while the disk is full."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS log (
    entry INTEGER PRIMARY KEY AUTOINCREMENT, record BLOB NOT NULL, digest BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS verdicts (
    entry INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, time_ns INTEGER NOT NULL,
    workload TEXT NOT NULL, level INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS verdicts_by_time ON verdicts (time_ns);
CREATE TABLE IF NOT EXISTS anchor (
    one INTEGER PRIMARY KEY CHECK (one = 1), entry INTEGER NOT NULL, digest BLOB NOT NULL
) STRICT;
"""
# The record is the truth and is what the chain covers; `verdicts` only finds it.

_SELECT: Final = (
    "SELECT verdicts.entry, log.record FROM verdicts JOIN log ON log.entry = verdicts.entry"
)

Verdict = dict[str, Any]


class Store:
    """The local record of what was concluded and done. Safe to use from several threads.

    Attributes:
        set_aside: Where a damaged database went that stood at this path; None if there was none.
            The agent is degraded then and says so.
        path: The database file.
        appended: Entries given to this process, and of them `written`; `repeated` of those were
            verdicts that are there already.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, keep: int) -> None:
        self.path = path
        self.set_aside: Path | None = None
        self._connection = connection
        self._keep = keep
        self._lock = threading.RLock()
        self._backlog: Backlog[tuple[bytes, Verdict | None]] = Backlog(KEEP_WAITING)
        self.appended = self.written = self.repeated = 0

    @classmethod
    def open(cls, path: Path, *, keep: int = KEEP_ENTRIES) -> Self:
        """Open the store at `path` for the daemon, creating it if need be.

        Raises:
            StoreUnreadableError: No permission, or the disk is too full even to begin.
        """
        try:
            opened = open_database(path, _SCHEMA, durable=False)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnreadableError(path, error) from error
        store = cls(path, opened.connection, keep)
        store.set_aside = opened.set_aside
        return store

    @classmethod
    def read(cls, path: Path) -> Self:
        """Open the store at `path` for questions only, beside a daemon that may be writing.

        Raises:
            NoStoreError: There is none yet.
            StoreUnreadableError: No permission, or the file is damaged.
        """
        if not path.exists():
            raise NoStoreError(path)
        try:
            connection = open_for_reading(path)
            connection.execute("SELECT max(entry) FROM log").fetchone()
        except sqlite3.Error as error:
            raise StoreUnreadableError(path, error) from error
        return cls(path, connection, KEEP_ENTRIES)

    def close(self) -> None:
        """Write what waits, if the disk takes it, and close."""
        with self._lock:
            self._drain()
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def waiting(self) -> int:
        """Entries that wait in memory because the disk takes none."""
        return len(self._backlog)

    @property
    def lost(self) -> dict[str, int]:
        """Entries given up while the disk took none, by level."""
        return dict(zip(LEVELS, self._backlog.lost, strict=True))

    def append_verdict(self, verdict: Mapping[str, Any]) -> None:
        """Record one verdict; the same id again changes nothing.

        What the disk does not take now waits in memory, the newest and most severe kept.

        Raises:
            KeyError, TypeError, ValueError: It is no verdict as the interface has it.
        """
        body: Verdict = plain(verdict)
        record = canonical({"kind": "verdict", "time_ns": body["time_ns"], "body": body})
        self._append(record, body, level_rank(body["level"]))

    def append_event(self, kind: str, time_ns: int, facts: Mapping[str, Any]) -> None:
        """Record something else worth proving later: a containment, a release, an approval.

        Args:
            kind: What happened, `noun.verb`; never "verdict".
            time_ns: Unix time, nanoseconds.
            facts: What is to be known about it, as JSON carries it.
        """
        record = canonical({"kind": kind, "time_ns": time_ns, "body": facts})
        self._append(record, None, level_rank("high"))

    def verdicts(
        self,
        since_ns: int | None = None,
        workload: str | None = None,
        min_level: str | None = None,
        limit: int | None = None,
    ) -> list[Verdict]:
        """Return the verdicts that fit, oldest first; with `limit`, the newest so many.

        Args:
            since_ns: Only those of this Unix time (nanoseconds) and later.
            workload: Only those of this workload.
            min_level: Only those of this level (one of `LEVELS`) and above.
            limit: How many at most.
        """
        sql = (
            f"{_SELECT} WHERE time_ns >= ? AND (? IS NULL OR workload = ?) AND level >= ?"
            " ORDER BY time_ns DESC, verdicts.entry DESC LIMIT ?"
        )
        rank = 0 if min_level is None else level_rank(min_level)
        rows = self._rows(
            sql, (since_ns or 0, workload, workload, rank, -1 if limit is None else limit)
        )
        return [_body(record) for _, record in reversed(rows)]

    def after(self, entry: int, limit: int = 1_000) -> list[tuple[int, Verdict]]:
        """Return verdicts recorded behind log entry `entry`, with their entries, oldest first."""
        sql = f"{_SELECT} WHERE verdicts.entry > ? ORDER BY verdicts.entry LIMIT ?"
        return [(number, _body(record)) for number, record in self._rows(sql, (entry, limit))]

    def last_entry(self) -> int:
        """Return the number of the newest log entry, 0 for an empty log: where `after` begins."""
        return int(self._rows("SELECT coalesce(max(entry), 0), x'' FROM log", ())[0][0])

    def verdict(self, prefix: str) -> Verdict:
        """Return the one verdict whose id starts with `prefix`.

        Raises:
            UnknownVerdictError: There is none.
            AmbiguousVerdictError: There are several.
        """
        # A range instead of LIKE: it uses the index, and % means nothing in it.
        sql = f"{_SELECT} WHERE id >= ? AND id < ? ORDER BY id LIMIT 2"
        rows = self._rows(sql, (prefix.upper(), prefix.upper() + "\x7f")) if prefix else []
        if not rows:
            raise UnknownVerdictError(prefix)
        if len(rows) > 1:
            raise AmbiguousVerdictError(prefix)
        return _body(rows[0][1])

    def head(self) -> str:
        """Return the digest of the newest entry in hexadecimal: what a heartbeat carries away."""
        with self._lock:
            return self._tip()[1].hex()

    def chain_verify(self) -> ChainReport:
        """Check that no entry of the log was changed, removed or inserted."""
        with self._lock, self._translated():
            number, digest = self._anchor()
            rows = self._connection.execute("SELECT entry, record, digest FROM log ORDER BY entry")
            report = check(rows, number, digest)
            newest = self._connection.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'log'"
            ).fetchone()
            if report.whole and newest and number + report.entries != newest[0]:
                return ChainReport(
                    report.entries, newest[0], "the newest entries are missing", report.head
                )
            return report

    def _append(self, record: bytes, verdict: Verdict | None, rank: int) -> None:
        with self._lock:
            self.appended += 1
            self._backlog.push((record, verdict), rank)
            self._drain()

    def _drain(self) -> None:
        while (oldest := self._backlog.peek()) is not None:
            try:
                self._insert(*oldest[0])
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    return  # full or busy: it waits, counted by `waiting`
                self._begin_anew()
                continue
            self.written += 1
            self._backlog.pop()

    def _insert(self, record: bytes, verdict: Verdict | None) -> None:
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        try:
            if verdict is None or not self._holds(verdict["id"]):
                entry, digest = self._tip()
                row = (entry + 1, record, link(digest, record))
                run("INSERT INTO log VALUES (?, ?, ?)", row)
                if verdict is not None:
                    found_by = (verdict[key] for key in ("id", "time_ns", "workload"))
                    run(
                        "INSERT INTO verdicts VALUES (?, ?, ?, ?, ?)",
                        (entry + 1, *found_by, level_rank(verdict["level"])),
                    )
                self._let_go(entry + 1)
            else:
                self.repeated += 1
            run("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                run("ROLLBACK")
            raise

    def _holds(self, verdict_id: str) -> bool:
        found = self._connection.execute("SELECT 1 FROM verdicts WHERE id = ?", (verdict_id,))
        return found.fetchone() is not None

    def _let_go(self, newest: int) -> None:
        # A tenth at a time: the anchor is rewritten rarely, and the file stops growing.
        number, _ = self._anchor()
        if newest - number <= self._keep + self._keep // 10:
            return
        run, last = self._connection.execute, newest - self._keep
        run(
            "INSERT OR REPLACE INTO anchor SELECT 1, entry, digest FROM log WHERE entry = ?",
            (last,),
        )
        run("DELETE FROM log WHERE entry <= ?", (last,))
        run("DELETE FROM verdicts WHERE entry <= ?", (last,))

    def _anchor(self) -> tuple[int, bytes]:
        row = self._connection.execute("SELECT entry, digest FROM anchor").fetchone()
        return (row[0], row[1]) if row else (0, GENESIS)

    def _tip(self) -> tuple[int, bytes]:
        sql = "SELECT entry, digest FROM log ORDER BY entry DESC LIMIT 1"
        row = self._connection.execute(sql).fetchone()
        return (row[0], row[1]) if row else self._anchor()

    def _begin_anew(self) -> None:
        self._connection.close()
        self.set_aside = set_aside(self.path)
        self._connection = open_database(self.path, _SCHEMA, durable=False).connection

    def _rows(self, sql: str, arguments: tuple[object, ...]) -> list[tuple[int, bytes]]:
        with self._lock, self._translated():
            return self._connection.execute(sql, arguments).fetchall()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreUnreadableError(self.path, error) from error


def _body(record: bytes) -> Verdict:
    body: Verdict = json.loads(record)["body"]
    return body
