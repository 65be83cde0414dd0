"""Names that attackers chose, made harmless for a terminal and for a reader.

A file may be called anything but "/" and NUL: escape sequences that rewrite the screen, line
breaks that forge a line, marks that turn the reading direction around. What does not print is
shown as its code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any


def inert(text: str) -> str:
    """Return a text whose every character prints."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def inert_values(value: Any) -> Any:  # noqa: ANN401 - plain values of any shape
    """Return plain values with every text in them inert, keys and fields of dataclasses too."""
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{each.name: inert_values(getattr(value, each.name)) for each in fields(value)}
        )
    if isinstance(value, str):
        return inert(value)
    if isinstance(value, Mapping):
        return {inert_values(name): inert_values(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [inert_values(one) for one in value]
    return value
