"""Writes numbers with their units, which are taken from the names: `rss_bytes`, `uptime_s`."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024
_SPANS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_NS: Final = 1_000_000_000
_EARLIEST_NS: Final = 1_000_000_000 * _NS  # Unix time of 2001; less is a span or a clock since boot


def amount(name: str, value: object) -> str:
    """Write `value` in the unit that `name` ends with; None is a dash, never a 0."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return facts(value) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(amount("", entry) for entry in value) or "none"
    if not isinstance(value, int | float):
        return str(value)
    return _number(name, value)


def facts(values: Mapping[str, Any]) -> str:
    """Write a flat mapping as one line: `pending 3, size 1.5 KiB`."""
    return ", ".join(f"{_title(name)} {amount(name, value)}" for name, value in values.items())


def duration(seconds: float) -> str:
    """Write a span in its two largest units: 1 h 5 min."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds > 0 else "0 s"
    left = round(seconds)
    parts = []
    for size, unit in _SPANS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def size(count: float) -> str:
    """Write bytes with a binary prefix."""
    power = 0
    while abs(count) >= _STEP and power < len(_BINARY) - 1:
        count /= _STEP
        power += 1
    return f"{count:.0f} {_BINARY[power]}" if power == 0 else f"{count:.1f} {_BINARY[power]}"


def moment(time_ns: int) -> str:
    """Write Unix nanoseconds as local time, to the second."""
    return datetime.fromtimestamp(time_ns / _NS, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def quantity(value: float | None, unit: str) -> str:
    """Write a reading with the unit that it carries; what was not read is a dash."""
    if value is None or math.isnan(value):
        return "-"
    if unit in {"B", "B/s"}:
        return size(value) + unit.removeprefix("B")
    text = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"  # noqa: PLR2004
    return text if unit in {"", "1"} else f"{text} {unit}"


def _number(name: str, value: float) -> str:
    unit = name.rpartition("_")[2]
    if unit == "ns" and value < _EARLIEST_NS:
        return duration(value / _NS)
    if unit in _UNITS:
        return _UNITS[unit](value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"


def _title(name: str) -> str:
    title, _, unit = name.rpartition("_")
    return (title if title and unit in _UNITS else name).replace("_", " ")


_UNITS: Final[Mapping[str, Callable[[float], str]]] = {
    "bytes": size,
    "s": duration,
    "ms": lambda value: f"{value:.0f} ms",
    "ns": lambda value: moment(int(value)),
    "percent": lambda value: f"{value:.1f} %",
    "mib": lambda value: f"{value:.0f} MiB",
}
