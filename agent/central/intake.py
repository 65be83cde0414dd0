"""Turns a host's message into something to store, and refuses what a host cannot have meant."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent.ship.wire import PeerError, short_text, whole_number
from agent.store.levels import LEVELS
from agent.verdict_id import is_verdict_id

_ROWS: Final = 1024
_DOCUMENT_BYTES: Final = 1 << 18
_SUMMARY_BYTES: Final = 1 << 15
_TECHNIQUES: Final = 64
_EPOCH_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict that passed: its number at its host and the columns it is stored in."""

    sequence: int
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What one message told.

    Attributes:
        host, epoch: Who, and which life of its outbox.
        acked: The last sequence that host says any central acknowledged.
        last: The last sequence in the message, refused ones too; 0 for a heartbeat.
        dropped: Verdicts the host gave up so far, by level.
        verdicts: Those that passed, sequences rising.
        refused: Sequences of those that did not.
        summary: What a heartbeat says about the host, as JSON; None in a batch of verdicts.
    """

    host: str
    epoch: str
    acked: int
    last: int
    dropped: str
    verdicts: tuple[Verdict, ...]
    refused: tuple[int, ...]
    summary: str | None


def read(message: Mapping[str, Any]) -> Told:
    """Return what `message` tells.

    Raises:
        PeerError: It is no message of the protocol. One bad verdict among good
            ones is no such thing: it is refused alone, or it would block its host forever.
    """
    host = short_text(message, "host")
    epoch = short_text(message, "epoch", _EPOCH_LENGTH)
    acked = whole_number(message, "acked")
    dropped = _counts(message.get("dropped"))
    if message["kind"] == "heartbeat":
        summary = _document(message.get("summary"), _SUMMARY_BYTES)
        return Told(host, epoch, acked, 0, dropped, (), (), summary)
    if message["kind"] != "verdicts":
        raise PeerError("an unknown kind")
    passed, refused, last = _rows(host, message.get("rows"))
    return Told(host, epoch, acked, last, dropped, passed, refused, None)


def _rows(host: str, rows: object) -> tuple[tuple[Verdict, ...], tuple[int, ...], int]:
    if not isinstance(rows, list) or not 0 < len(rows) <= _ROWS:
        raise PeerError("rows is no list of rows")
    passed, refused, last = [], [], 0
    for row in rows:
        if not isinstance(row, list) or len(row) != 2:  # noqa: PLR2004 - sequence and verdict
            raise PeerError("a row is no pair")
        sequence = whole_number({"sequence": row[0]}, "sequence")
        if sequence <= last:
            raise PeerError("sequences do not rise")
        last = sequence
        try:
            passed.append(Verdict(sequence, _columns(host, row[1])))
        except PeerError:
            refused.append(sequence)
    return tuple(passed), tuple(refused), last


def _columns(host: str, verdict: object) -> dict[str, Any]:
    if not isinstance(verdict, dict):
        raise PeerError("a verdict is no map")
    if verdict.get("host") != host:
        raise PeerError("a verdict of another host")
    if not is_verdict_id(verdict.get("id")):
        raise PeerError("a verdict without an id")
    if verdict.get("level") not in LEVELS:
        raise PeerError("a verdict without a level")
    techniques = verdict.get("techniques", [])
    if not isinstance(techniques, list) or len(techniques) > _TECHNIQUES:
        raise PeerError("techniques is no list")
    return {
        "host": host,
        "id": verdict["id"],
        "time_ns": whole_number(verdict, "time_ns"),
        "workload": short_text(verdict, "workload"),
        "engine": str(verdict.get("engine", ""))[:253],
        "level": verdict["level"],
        "score": _number(verdict, "score"),
        "p_value": _number(verdict, "p_value"),
        "techniques": [str(technique)[:64] for technique in techniques],
        "summary": str(verdict.get("summary", ""))[:4096],
        "document": _document(verdict, _DOCUMENT_BYTES),
    }


def _number(verdict: Mapping[str, Any], key: str) -> float | None:
    value = verdict.get(key)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise PeerError(f"{key} is no number")
    return float(value)


def _counts(value: object) -> str:
    if not isinstance(value, dict) or set(value) - set(LEVELS):
        raise PeerError("dropped is no count by level")
    return json.dumps({level: whole_number(value, level) for level in value}, sort_keys=True)


def _document(value: object, limit: int) -> str:
    if not isinstance(value, dict):
        raise PeerError("no map")
    try:
        text = json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise PeerError("a number that is not finite") from error
    if len(text) > limit:
        raise PeerError("too large")
    return text
