"""The form of a rule about one sensitive class. The rules themselves are data, no logic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from detectors.assessment import Level
from detectors.window import ItemKind

ATTACK_EDITION: Final = "ATT&CK v17"
ATLAS_EDITION: Final = "ATLAS v5.6.0"
"""Editions of the technique ids in the rules: the lists renumber."""

EXEC: Final = frozenset({ItemKind.EXEC})
MODEL: Final = frozenset({ItemKind.MODEL})
OPEN: Final = frozenset({ItemKind.FILE, ItemKind.WRITE, ItemKind.MODEL})
FILE: Final = frozenset({ItemKind.FILE})
WRITE: Final = frozenset({ItemKind.WRITE})
PEER: Final = frozenset({ItemKind.PEER})
LIBRARY: Final = frozenset({ItemKind.LIBRARY})
SYSCALL: Final = frozenset({ItemKind.SYSCALL})
ENDPOINT: Final = frozenset({ItemKind.ENDPOINT})
CAPABILITY: Final = frozenset({ItemKind.CAPABILITY})


@dataclass(frozen=True, slots=True)
class Rule:
    """One sensitive class, told by the item's text.

    Attributes:
        name: Short, stable.
        kinds: What it applies to.
        pattern: Regular expression, searched in the item.
        level: How serious the first sight of it is in a guarded workload.
        reason: Plain words for what it is.
        techniques: ATT&CK and ATLAS ids.
        invariant: Never ordinary, not even while learning: reported at once and not learnt.
    """

    name: str
    kinds: frozenset[ItemKind]
    pattern: str
    level: Level
    reason: str
    techniques: tuple[str, ...]
    invariant: bool = False


@dataclass(frozen=True, slots=True)
class MarkRule:
    """One sensitive class, told by a mark of the kernel. Fields mean the same as in `Rule`."""

    name: str
    kinds: frozenset[ItemKind]
    mark: str
    level: Level
    reason: str
    techniques: tuple[str, ...]
    invariant: bool = False


def named(programs: str) -> str:
    """Return the pattern of programs by name, in any directory, deleted or not.

    Args:
        programs: Regular expressions of names, separated by spaces.
    """
    return r"(?:^|/)(?:" + "|".join(programs.split()) + r")(?: \(deleted\))?$"


def calls(names: str) -> str:
    """Return the pattern of system calls by name, separated by spaces; also by another entry."""
    return "^(?:foreign )?(?:" + "|".join(names.split()) + ")$"
