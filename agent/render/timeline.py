"""The records around a verdict, drawn: time from left to right, a line for each process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

Record = Mapping[str, Any]

_WIDTH: Final = 960
_LEFT: Final = 190
"""Pixels for the processes' names."""

_RIGHT: Final = 20
_LANE: Final = 34
_TOP: Final = 28
_MOST_LANES: Final = 24
_MARK: Final = 6
_NAME: Final = 22
"""Letters of a name that fit there; the whole stands with the mark."""

_MS: Final = 1_000_000
_STEPS: Final = (1, 2, 5)
_COLOURS: Final = {
    "exec": "#b3261e",
    "file": "#3b6fb6",
    "write": "#b25e09",
    "peer": "#7b3fa0",
    "listen": "#7b3fa0",
    "mapping": "#8a6d00",
}
_OTHER: Final = "#5f6368"


def timeline(records: Sequence[Record], time_ns: int) -> str:
    """Return an SVG element; empty without records.

    Every text is escaped: a file may be called `<script>`.

    Args:
        records: Of a verdict, oldest first, their texts inert.
        time_ns: The moment that zero stands for.
    """
    if not records:
        return ""
    lanes = list(dict.fromkeys(record["pid"] for record in records))[:_MOST_LANES]
    scale = _Scale([(record["time_ns"] - time_ns) / _MS for record in records])
    height = _TOP + _LANE * len(lanes) + 10
    names = {record["pid"]: record["comm"] for record in records}
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    parts = [
        f'<svg role="img" aria-label="records by time and process" {size}>',
        *_axis(scale, height),
        *(line for at, pid in enumerate(lanes) for line in _lane(at, pid, str(names[pid]))),
    ]
    for at, pid in enumerate(lanes):
        parts += _marks(at, [r for r in records if r["pid"] == pid], scale, time_ns)
    return "".join([*parts, "</svg>"])


class _Scale:
    """Milliseconds to pixels; zero is always in it."""

    def __init__(self, moments: Sequence[float]) -> None:
        self.first, last = min(0.0, *moments), max(0.0, *moments)
        self.span = max(last - self.first, 1.0)

    def x(self, ms: float) -> float:
        """Return where a moment is."""
        return _LEFT + (ms - self.first) / self.span * (_WIDTH - _LEFT - _RIGHT)

    def ticks(self) -> Iterator[float]:
        """Yield round moments, five to twelve of them."""
        power = 1e-3
        while self.span / (power * 10) > 1:
            power *= 10
        step = next(power * by for by in (*_STEPS, 10) if self.span / (power * by) <= 10)  # noqa: PLR2004
        at = round(self.first / step) * step
        while at <= self.first + self.span:
            if at >= self.first:
                yield at
            at += step


def _axis(scale: _Scale, height: int) -> Iterator[str]:
    for ms in scale.ticks():
        x = scale.x(ms)
        yield f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{height}"/>'
        yield f'<text class="tick" x="{x:.1f}" y="12" text-anchor="middle">{ms:+,g} ms</text>'
    zero = scale.x(0.0)
    yield f'<line class="zero" x1="{zero:.1f}" x2="{zero:.1f}" y1="{_TOP - 10}" y2="{height}"/>'


def _lane(at: int, pid: int, name: str) -> Iterator[str]:
    y = _TOP + _LANE * at + _LANE // 2
    label = escape(f"{pid} {name}"[:_NAME])
    yield f'<line class="lane" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
    yield f'<text x="4" y="{y + 4}">{label}</text>'


def _marks(at: int, records: Sequence[Record], scale: _Scale, time_ns: int) -> Iterator[str]:
    y = _TOP + _LANE * at + _LANE // 2
    for record in records:
        ms = (record["time_ns"] - time_ns) / _MS
        colour = _COLOURS.get(str(record["kind"]), _OTHER)
        words = escape(f"{ms:+.1f} ms {record['kind']} {record['item']}")
        yield (
            f'<circle cx="{scale.x(ms):.1f}" cy="{y}" r="{_MARK}" fill="{colour}">'
            f"<title>{words}</title></circle>"
        )
