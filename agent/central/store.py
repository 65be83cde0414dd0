"""What central keeps: the only module that speaks SQL, to chDB, ClickHouse inside this process.

Text from hosts never enters a statement: rows go in as JSONEachRow beside it,
and questions carry `{name:Type}` parameters.
"""

import faulthandler
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self

from agent.central import queries
from agent.central.errors import StoreFailedError, StoreMissingError
from agent.central.schema import DATABASE, STEPS, VERSIONS, lifetime
from agent.store.levels import level_rank

Row = Mapping[str, Any]


STUCK_AFTER_S: Final = 60.0
"""For one statement; statements here take milliseconds, and seconds on a busy host."""

_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\0": "\\0"})


class Engine(Protocol):
    """What of a chDB session is used here."""

    def query(self, sql: str, fmt: str, *, params: Mapping[str, Any] | None = None) -> object:
        """Run `sql` and return its answer, which prints as format `fmt`."""

    def close(self) -> None:
        """Finish background work and let the directory go."""


@dataclass(frozen=True, slots=True)
class Question:
    """Which verdicts are asked for; empty text and 0 mean any."""

    since_ns: int = 0
    host: str = ""
    workload: str = ""
    min_level: str = "info"
    id_prefix: str = ""
    limit: int = 1_000


class CentralStore:
    """The tables of one central, in one directory, for one process."""

    def __init__(self, engine: Engine, stuck_after_s: float = STUCK_AFTER_S) -> None:
        self._engine = engine
        self._stuck_after_s = stuck_after_s
        self._columns: dict[str, str] = {}

    @classmethod
    def open(cls, path: Path, keep_days: int, stuck_after_s: float = STUCK_AFTER_S) -> Self:
        """Open or create the store in the directory `path`, and bring its tables up to date.

        Raises:
            StoreMissingError: chDB is not installed.
            StoreFailedError: The directory is in use, damaged, or cannot be written.
        """
        try:
            from chdb import session
        except ImportError as error:
            raise StoreMissingError from error
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with _bounded(stuck_after_s):
                engine: Engine = session.Session(str(path))  # type: ignore[no-untyped-call]
            store = cls(engine, stuck_after_s)
        except RuntimeError as error:
            raise StoreFailedError(_first_line(error)) from error
        store._migrate(keep_days)
        return store

    def close(self) -> None:
        """Let the directory go."""
        with _bounded(self._stuck_after_s):
            self._engine.close()

    def marks(self) -> dict[tuple[str, str], int]:
        """Return the last sequence stored of each host and epoch."""
        return {
            (row["host"], row["epoch"]): int(row["sequence"]) for row in self._select(queries.MARKS)
        }

    def write(
        self,
        verdicts: Sequence[Row],
        gaps: Sequence[Row],
        heartbeats: Sequence[Row],
        hosts: Sequence[Row],
    ) -> int:
        """Store what a round of messages told; on the disk when this returns.

        The sequences in `hosts` go last: a stop in between makes the host send
        again what is then recognised by its id.

        Returns:
            How many verdicts were new; an id that a host told before is not stored again.

        Raises:
            StoreFailedError: Nothing may be acknowledged.
        """
        new = self._unknown(verdicts)
        self._insert("gaps", gaps)
        self._insert("verdicts", new)
        self._insert("heartbeats", heartbeats)
        self._insert("hosts", hosts)
        return len(new)

    def verdicts(self, question: Question) -> list[dict[str, Any]]:
        """Return verdicts as their hosts told them, oldest first; the newest `limit` of them."""
        rows = self._select(
            queries.VERDICTS,
            since=question.since_ns,
            level=level_rank(question.min_level),
            host=question.host,
            workload=question.workload,
            id=question.id_prefix,
            limit=question.limit,
        )
        return [json.loads(row["document"]) for row in reversed(rows)]

    def hosts(self) -> list[dict[str, Any]]:
        """Return what is known of every host ever heard, by name."""
        levels = _nested(self._select(queries.LEVELS_BY_HOST), "level", "verdicts")
        missing = _nested(self._select(queries.GAPS_BY_HOST), "reason", "missing")
        summaries = {row["host"]: row["summary"] for row in self._select(queries.SUMMARY_BY_HOST)}
        return [
            {
                "host": row["host"],
                "last_heard_ns": int(row["last_heard_ns"]),
                "address": row["address"],
                "public_key": row["public_key"],
                "epoch": row["epoch"],
                "sequence": int(row["sequence"]),
                "verdicts": levels.get(row["host"], {}),
                "dropped": json.loads(row["dropped"]),
                "missing": missing.get(row["host"], {}),
                "summary": json.loads(summaries.get(row["host"], "{}")),
            }
            for row in self._select(queries.LATEST_HOSTS)
        ]

    def _migrate(self, keep_days: int) -> None:
        self._run(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
        self._run(VERSIONS)
        done = int(self._select(queries.VERSION)[0]["version"])
        if done > len(STEPS):
            words = f"its tables are of version {done}, this program knows {len(STEPS)}"
            raise StoreFailedError(words)
        for version, step in enumerate(STEPS[done:], start=done + 1):
            for statement in step:
                self._run(statement)
            self._insert("schema_versions", [{"version": version, "applied_ns": time.time_ns()}])
        self._set_lifetime(keep_days)

    def _set_lifetime(self, keep_days: int) -> None:
        for table in ("verdicts", "gaps"):
            made = self._select(queries.MADE_AS, table=table)[0]["made"]
            # Setting it rewrites parts, so only when it changed.
            if f"toIntervalDay({keep_days})" not in made:
                self._run(lifetime(table, keep_days))

    def _unknown(self, verdicts: Sequence[Row]) -> list[Row]:
        by_host: dict[str, dict[str, Row]] = {}
        for row in verdicts:
            by_host.setdefault(row["host"], {}).setdefault(row["id"], row)
        new: list[Row] = []
        for host, rows in by_host.items():
            # Ids passed `is_verdict_id`: capitals and digits, nothing to escape.
            ids = "[" + ",".join(f"'{one}'" for one in rows) + "]"
            known = {row["id"] for row in self._select(queries.KNOWN, host=host, ids=ids)}
            new.extend(row for one, row in rows.items() if one not in known)
        return new

    def _insert(self, table: str, rows: Sequence[Row]) -> None:
        """Store rows; what they hold travels as a parameter, so that no text of a host is SQL.

        Not by chDB's streaming insert: with a database that was killed before, its `finish` was
        seen to wait forever (chdb 4.4.0).
        """
        if not rows:
            return
        columns = ", ".join(rows[0])
        self._run(
            f"INSERT INTO {DATABASE}.{table} ({columns}) SELECT {columns} "  # noqa: S608 - names of our own columns
            "FROM format(JSONEachRow, {types:String}, {lines:String})",
            types=self._types(table),
            lines="\n".join(json.dumps(row) for row in rows),
        )

    def _types(self, table: str) -> str:
        """Return a table's columns and types, so that none is guessed from what a host sent."""
        if table not in self._columns:
            told = self._select(queries.COLUMNS, table=table)
            self._columns[table] = ", ".join(f"{row['name']} {row['type']}" for row in told)
        return self._columns[table]

    def _run(self, sql: str, **parameters: object) -> None:
        try:
            with _bounded(self._stuck_after_s):
                self._engine.query(sql, "CSV", params=_escaped(parameters))
        except RuntimeError as error:
            raise StoreFailedError(_first_line(error)) from error

    def _select(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        try:
            with _bounded(self._stuck_after_s):
                answer = str(self._engine.query(sql, "JSONEachRow", params=_escaped(parameters)))
        except RuntimeError as error:
            raise StoreFailedError(_first_line(error)) from error
        return [json.loads(line) for line in answer.splitlines() if line]


@contextmanager
def _bounded(stuck_after_s: float) -> Iterator[None]:
    """End this process, with the stacks on stderr, if the engine does not come back in time.

    A database that was killed while it wrote was seen to wait forever on a later statement
    (chdb 4.4.0), inside its own code, where no Python can reach it. Nothing acknowledged is
    lost: hosts keep what is not, and the service manager starts central again.
    """
    faulthandler.dump_traceback_later(stuck_after_s, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _escaped(parameters: Mapping[str, object]) -> dict[str, object] | None:
    """Return parameters as ClickHouse reads them: text in its "escaped" (tab-separated) form."""
    return {
        name: value.translate(_ESCAPES) if isinstance(value, str) else value
        for name, value in parameters.items()
    } or None


def _nested(rows: Iterable[Row], key: str, value: str) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["host"], {})[row[key]] = int(row[value])
    return found


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:300]
