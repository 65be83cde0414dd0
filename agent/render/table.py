"""Tables in plain text: columns aligned, colour only where the caller has a terminal."""

from collections.abc import Iterable, Sequence
from typing import Final

from agent.render.inert import inert

_RED, _YELLOW, _GREEN, _BOLD = 31, 33, 32, 1
_COLOURS: Final = {
    "healthy": _GREEN,
    "guarding": _GREEN,
    "ok": _GREEN,
    "degraded": _YELLOW,
    "questioned": _YELLOW,
    "medium": _YELLOW,
    "limited": _YELLOW,
    "unhealthy": _RED,
    "missing": _RED,
    "high": _RED,
    "critical": _RED,
}


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, colour: bool = False) -> str:
    """Lay out `rows` under `columns`; ">" before a name aligns it to the right."""
    right = [name.startswith(">") for name in columns]
    head = [name.removeprefix(">").upper() for name in columns]
    lines = [head, *([inert(cell) for cell in row] for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    out = []
    for number, line in enumerate(lines):
        cells = [
            _align(cell, width, to_right=to_right, colour=colour, head=number == 0)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ]
        out.append("  ".join(cells).rstrip())
    return "\n".join(out)


def paint(word: str, *, colour: bool) -> str:
    """Return a word of state in its colour."""
    code = _COLOURS.get(word)
    return _escape(word, code) if colour and code else word


def strong(text: str, *, colour: bool) -> str:
    """Return a heading."""
    return _escape(text, _BOLD) if colour else text


def _align(cell: str, width: int, *, to_right: bool, colour: bool, head: bool) -> str:
    space = " " * (width - len(cell))
    shown = strong(cell, colour=colour) if head else paint(cell, colour=colour)
    return space + shown if to_right else shown + space


def _escape(text: str, code: int) -> str:
    return f"\x1b[{code}m{text}\x1b[0m"
