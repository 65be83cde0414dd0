"""How serious it is that a role did something it was never seen to do.

The path that answers at once: no window is awaited, nothing is counted. It says how serious an
item is alone; `detectors.judge` raises that when several come together.
"""

from __future__ import annotations

import re
from typing import Final

from detectors import ordinary, refusals
from detectors.answered import TURNED_AWAY
from detectors.assessment import Level, NovelItem
from detectors.repertoire import Repertoire
from detectors.sensitive import Sensitivity, sensitivity
from detectors.window import STARTING, Item, ItemKind, Phase, is_stranger

_ACTS: Final = frozenset({ItemKind.EXEC, ItemKind.PEER})
_READ: Final = frozenset({ItemKind.FILE, ItemKind.MODEL})
_START_UP_CLASSES: Final = frozenset(
    {"shell", "interpreter", "discovery-tool", "compiler", "hub-token", "environment-file"}
    | {"service-account", "cloud-credentials", "named-secret", "private-key", "hidden-work"}
    | {"gpu-device"}
)
"""What servers do when they start: shells that look for libraries, tokens, keys, compilers."""

_START_UP_TOOLS: Final = re.compile(
    r"^/(?:usr/)?s?bin/(?:ldconfig(?:\.real)?|uname|lscpu|lspci|nvidia-smi|rocminfo|rocm-smi|getconf"
    r"|lsb_release|(?:x86_64-linux-gnu-)?objdump|file)$"
)
"""Installed programs that runtimes ask about the host and its libraries, and that answer only."""

_WARMING: Final = frozenset(
    {ItemKind.LIBRARY, ItemKind.SYSCALL, ItemKind.DEVICE, ItemKind.GPU, ItemKind.WRITE}
)
_WARM_UP_CLASSES: Final = frozenset({"compiler", "hidden-work"})
"""What the first requests bring with them: code is compiled, and kept in memory."""

_EXPECTED_NEW: Final = frozenset(
    {ItemKind.FILE, ItemKind.LIBRARY, ItemKind.MODEL, ItemKind.SYSCALL, ItemKind.DEVICE}
)
"""What another release of a program or a model brings with it."""

_MADE_HERE: Final = frozenset(
    {"anonymous", "mprotect", "memfd", "written", "deleted", "unlinked", "replaced", "executable"}
)
"""Marks of code that no release installs."""


def is_expected(kind: ItemKind, marks: frozenset[str]) -> bool:
    """Tell whether another release of a program or a model brings such things with it."""
    return kind in _EXPECTED_NEW and not marks & _MADE_HERE


def phase_of(item: Item, phase: Phase) -> Phase:
    """Return the phase of whoever did this in a server that is in `phase`."""
    return Phase.STARTUP if STARTING in item.marks else phase


def assess(item: Item, known: Repertoire, phase: Phase = Phase.STEADY) -> NovelItem | None:
    """Judge one item against what was learnt. Changes nothing.

    Args:
        item: As the kernel saw it.
        known: What this workload's roles were seen to do.
        phase: In a start-up, things that are not sensitive are expected to be new and weigh
            at most `low`; one that was never learnt is nothing to measure against: what servers
            do when they start then weighs at most `medium`. While it warms up, code and what is
            made of it weigh one level less. A reload and a drain excuse nothing. What is
            sensitive and was learnt in other phases alone is measured by the nearest of them.

    Returns:
        None if the role was seen to do this.
    """
    phase = phase_of(item, phase)
    elsewhere: frozenset[Phase] = frozenset()
    doubted = False
    if known.knows(item):
        elsewhere = known.phases_of(item)
        doubted = phase is not Phase.STARTUP and known.doubts(item)
        if not doubted and (not elsewhere or phase in elsewhere):
            return None
    found = None if refusals.of_known_peer(item, known) else sensitivity(item)
    if found is not None and TURNED_AWAY in item.marks:
        level, techniques = Level.LOW, found.techniques
        reason = f"{found.reason}; the server turned it away"
    elif found is not None:
        level, reason, techniques = found.level, found.reason, found.techniques
    else:
        level, reason, techniques = ordinary.weight(item, known)
    if doubted:
        level = min(level, Level.MEDIUM if item.kind in _READ else Level.HIGH)
        reason = f"{reason}; it did that at one time only while it was learnt"
    elif elsewhere:
        level = _doubted(level, item.kind, phase)
        reason = f"{reason}; it did that in {' and '.join(sorted(elsewhere))} alone"
    elif not is_stranger(item.role):  # the phase is the workload's own
        level = _in_phase(item, found, level, known, phase)
    return NovelItem(
        kind=item.kind,
        item=item.item,
        sensitive=found is not None and TURNED_AWAY not in item.marks,
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


def _doubted(level: Level, kind: ItemKind, phase: Phase) -> Level:
    """Weigh something sensitive that belongs to other phases than this.

    Who read a secret at its start, or was given one, holds it: taking it anew takes little. A
    program is the first step of somebody else; only outside the steady state is there doubt.
    """
    if kind in _READ or kind is ItemKind.PEER:
        return min(level, Level.MEDIUM if phase is Phase.STEADY else Level.LOW)
    return level if phase is Phase.STEADY else Level(max(Level.LOW, level - 1))


def _in_phase(
    item: Item, found: Sensitivity | None, level: Level, known: Repertoire, phase: Phase
) -> Level:
    """Weigh something new by where in its life the server is."""
    if found is None and phase is Phase.STARTUP and item.kind not in _ACTS:
        level = min(level, Level.LOW)
    elif found is None and phase is Phase.WARMUP and item.kind in _WARMING:
        level = Level(max(Level.INFO, level - 1))
    if phase in known.phases or phase not in {Phase.STARTUP, Phase.WARMUP}:
        return level
    # Never watched in this phase: adopted while it ran.
    if phase is Phase.WARMUP:
        return min(level, Level.MEDIUM) if found and found.name in _WARM_UP_CLASSES else level
    if (
        item.kind is ItemKind.EXEC
        and item.marks <= {STARTING}
        and _START_UP_TOOLS.search(item.item)
    ):
        return min(level, Level.LOW)
    if found is None or found.name in _START_UP_CLASSES:
        return min(level, Level.MEDIUM)
    return level
