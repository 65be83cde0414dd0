"""How serious it is that a role did something it was never seen to do.

The path that answers at once: no window is awaited, nothing is counted. It says how serious an
item is alone; `detectors.judge` raises that when several come together.
"""

from __future__ import annotations

from typing import Final

from detectors import ordinary, refusals
from detectors.assessment import Level, NovelItem
from detectors.repertoire import Repertoire
from detectors.sensitive import sensitivity
from detectors.window import Item, ItemKind, Phase, is_stranger

_ACTS: Final = frozenset({ItemKind.EXEC, ItemKind.PEER})
_STARTING: Final = frozenset({Phase.STARTUP, Phase.WARMUP})
_START_UP_CLASSES: Final = frozenset(
    {"shell", "interpreter", "discovery-tool", "compiler", "hub-token", "environment-file"}
    | {"service-account", "cloud-credentials", "named-secret", "private-key", "hidden-work"}
    | {"gpu-device"}
)
"""What servers do when they start: shells that look for libraries, tokens, keys, compilers."""


def assess(item: Item, known: Repertoire, phase: Phase = Phase.STEADY) -> NovelItem | None:
    """Judge one item against what was learnt. Changes nothing.

    Args:
        item: As the kernel saw it.
        known: What this workload's roles were seen to do.
        phase: Outside the steady state, things that are not sensitive are expected to be new
            and weigh at most `low`. A start-up that was never learnt is nothing to measure
            against: what servers do when they start then weighs at most `medium`.

    Returns:
        None if the role was seen to do this.
    """
    if known.knows(item):
        return None
    found = None if refusals.of_known_peer(item, known) else sensitivity(item)
    if found is not None:
        level, reason, techniques = found.level, found.reason, found.techniques
    else:
        level, reason, techniques = ordinary.weight(item, known)
    if not is_stranger(item.role):  # the phase is the workload's own
        if found is None and phase is not Phase.STEADY and item.kind not in _ACTS:
            level = min(level, Level.LOW)
        if _never_seen_starting(known, phase) and (
            found is None or found.name in _START_UP_CLASSES
        ):
            level = min(level, Level.MEDIUM)
    return NovelItem(
        kind=item.kind,
        item=item.item,
        sensitive=found is not None,
        count=item.count,
        pid=item.pid,
        role=item.role,
        reason=reason,
        techniques=techniques,
        time_ns=item.time_ns,
        exe=item.exe,
        level=level,
        marks=item.marks,
        other=item.other,
        host_path=item.host_path,
    )


def _never_seen_starting(known: Repertoire, phase: Phase) -> bool:
    """Tell whether the server starts and was never watched doing so: adopted while it ran."""
    return phase in _STARTING and phase not in known.phases
