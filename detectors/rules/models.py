"""Model files that are not what was approved, told by what the agent found beside the kernel.

A person approved them, so nothing of this is learnt, and learning excuses none of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from detectors.assessment import Level
from detectors.rules.rule import MODEL, MarkRule

MARKS: Final = {
    "changed": "model-changed",
    "swapped": "model-swapped",
    "mounted": "model-covered",
    "missing": "model-missing",
    "extra": "model-unlisted",
    "mode": "model-mode",
    "unreadable": "model-unread",
    "forged": "approval-forged",
}
"""By how `agent models verify` calls it."""

PROTECTED: Final = "model-protected"
UNAPPROVED: Final = "model-unapproved"
WITH_CODE: Final = "model-with-code"

_TAMPERED: Final = ("AML.T0018.000", "T1565.001")
_REPLACED: Final = ("AML.T0018.000", "T1565.001", "T1564")
_LOADED: Final = ("AML.T0011.000", "AML.T0018.002")
_CHAIN: Final = ("T1195.002", "AML.T0011.000")


def _rule(mark: str, level: Level, reason: str, techniques: tuple[str, ...]) -> MarkRule:
    return MarkRule(mark, MODEL, mark, level, reason, techniques, invariant=True)


RULES: Final = (
    _rule(
        "model-changed",
        Level.CRITICAL,
        "an approved model file whose content is another now",
        _TAMPERED,
    ),
    _rule(
        "model-swapped",
        Level.CRITICAL,
        "an approved model file that is another kind of file, or a link to elsewhere, now",
        _REPLACED,
    ),
    _rule(
        "model-covered",
        Level.CRITICAL,
        "an approved model file with another mounted over it",
        _REPLACED,
    ),
    _rule(
        "approval-forged",
        Level.CRITICAL,
        "an approval that no known key signed, in the place of one",
        ("AML.T0018.000", "T1553"),
    ),
    _rule(
        "model-unlisted",
        Level.HIGH,
        "a file that came into an approved model directory after its approval",
        (*_TAMPERED, "AML.T0018.002"),
    ),
    _rule(
        PROTECTED,
        Level.HIGH,
        "an approved model file that somebody tried to change, which was denied",
        _TAMPERED,
    ),
    _rule(
        "model-missing",
        Level.HIGH,
        "an approved model file that is gone",
        ("AML.T0029", "T1485"),
    ),
    _rule(
        WITH_CODE,
        Level.HIGH,
        "a model file that runs code when it is loaded, which no model needs",
        _LOADED,
    ),
    _rule(
        "model-mode",
        Level.MEDIUM,
        "an approved model file with other permissions than it had",
        ("T1222.002",),
    ),
    _rule(
        "model-unread",
        Level.MEDIUM,
        "an approved model file that cannot be compared with its approval",
        _TAMPERED,
    ),
    _rule(
        UNAPPROVED,
        Level.MEDIUM,
        "a model file that nobody approved, where the configuration asks for it",
        _CHAIN,
    ),
)

_ALL: Final = frozenset(rule.mark for rule in RULES)


def is_approval(marks: Iterable[str]) -> bool:
    """Tell whether an item is of this module: found by comparing, not done by a process."""
    return not _ALL.isdisjoint(marks)
