"""Reads spans and moments as people write them."""

import re
from datetime import UTC, datetime
from typing import Final

import typer

_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_NS: Final = 1_000_000_000


def span_s(text: str) -> float:
    """Return the seconds in `90s`, `10m`, `1h30m` or `2d`.

    Raises:
        typer.BadParameter: It is none.
    """
    parts = _SPAN.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise typer.BadParameter(f"{text!r} is no span: write 90s, 10m, 2h or 1d")
    return float(sum(float(number) * _SECONDS[unit] for number, unit in parts))


def since_ns(text: str | None, now_ns: int) -> int:
    """Return the Unix nanoseconds that `text` names: a span before `now_ns`, or an ISO 8601 moment.

    A moment without a zone is local time. None is the beginning, 0.

    Raises:
        typer.BadParameter: It is neither.
    """
    if text is None:
        return 0
    if _SPAN.match(text):
        return now_ns - int(span_s(text) * _NS)
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no time: write 10m, 2h or 2026-05-01T10:00"
        ) from error
    return int(moment.timestamp() * _NS)
