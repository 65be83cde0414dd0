"""Opens that the kernel did not allow: what somebody wanted, and has not got."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from detectors.assessment import Level

ATTEMPTS: Final = ("refused-open", "refused-write")
"""Marks, of files that were to be read and written."""

WORDS: Final = "; the kernel did not allow it"


def is_attempt(marks: Iterable[str]) -> bool:
    """Tell whether nothing was read or written, for want of the right to."""
    return any(mark in ATTEMPTS for mark in marks)


def words(text: str, marks: Iterable[str]) -> str:
    """Return what became of an attempt at a sensitive thing; empty where it is none.

    Args:
        text: Of the item: a local service that was looked for is one that let nobody in.
        marks: Of the item.
    """
    if is_attempt(marks):
        return WORDS
    return "; nobody answered" if text.startswith("refused unix ") else ""


def weighed(level: Level) -> Level:
    """Return what an attempt weighs where the deed would weigh `level`: one less.

    Who tries for a key of the host is no less an intruder for having failed: that stays grave. A
    library that looks for a GPU, or was told the wrong place, does not become so.
    """
    return Level(max(Level.INFO, level - 1))
