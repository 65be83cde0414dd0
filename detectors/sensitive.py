"""Finds the sensitive class an item belongs to. The classes are data: `detectors.rules`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from detectors import attempts
from detectors.assessment import Level
from detectors.generalise import generalise_peer, own_process
from detectors.rules import MARK_RULES, PUBLIC, RULES, MarkRule, Rule
from detectors.window import Item, ItemKind, is_stranger

_PUBLIC: Final = re.compile("|".join(PUBLIC))
_CONTAINER_STORE: Final = re.compile(
    r"^/var/lib/(?:docker|containerd|containers|kubelet|rancher|lxc|machines)/|^/run/(?:containerd|k3s)/"
    r"|/\.local/share/(?:containers|docker)/"
)
"""Where runtimes keep what containers are made of: their names there are no places of the host."""

_COMPILED: Final = tuple((rule, re.compile(rule.pattern)) for rule in RULES)
_BY_KIND: Final = {
    kind: tuple((rule, pattern) for rule, pattern in _COMPILED if kind in rule.kinds)
    for kind in ItemKind
}


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Why something is dangerous by itself.

    Attributes:
        name: Of the class.
        level: How serious its first sight is in a guarded workload.
        reason: Plain words.
        techniques: ATT&CK and ATLAS ids.
        invariant: Whether it is reported even while learning, and never learnt.
    """

    name: str
    level: Level
    reason: str
    techniques: tuple[str, ...]
    invariant: bool


def sensitivity(item: Item) -> Sensitivity | None:
    """Return the most serious sensitive class of an item, or None.

    What somebody outside opens is judged by who that is, in `detectors.novelty`.
    """
    if is_stranger(item.role):
        return None
    found = [
        _from(rule) for rule in MARK_RULES if item.kind in rule.kinds and rule.mark in item.marks
    ]
    by_name = [_by_name(item.kind, text) for text in (canonical(item), *_also(item))]
    found += [one for one in by_name if one is not None]
    if "symlinked" in item.marks:
        led_to = _by_name(item.kind, item.other)
        # A link to an installed program is how environments are made.
        found += [led_to] if led_to is not None and led_to.level is Level.CRITICAL else []
    gravest = max(found, key=lambda one: (one.invariant, one.level), default=None)
    tried = attempts.words(item.item, item.marks)
    if gravest is not None and tried:
        return replace(
            gravest,
            level=attempts.weighed(gravest.level),
            reason=gravest.reason + tried,
            invariant=False,  # nobody has got anything: a server may ask for it at each start
        )
    return gravest


def _also(item: Item) -> tuple[str, ...]:
    """Return the host's name of the file where that says more than the container's own."""
    if not item.host_path or _CONTAINER_STORE.search(item.host_path):
        return ()
    return (item.host_path,)


def canonical(item: Item) -> str:
    """Return the item in the one form the rules are written for: an own process, a plain IPv4."""
    if item.kind is ItemKind.PEER:
        return generalise_peer(item.item)
    return own_process(item.item, item.pid)


@lru_cache(maxsize=4096)
def _by_name(kind: ItemKind, text: str) -> Sensitivity | None:
    if kind is ItemKind.FILE and _PUBLIC.search(text):
        return None
    for rule, pattern in _BY_KIND[kind]:
        if pattern.search(text):
            return _from(rule)
    return None


def _from(rule: Rule | MarkRule) -> Sensitivity:
    return Sensitivity(rule.name, rule.level, rule.reason, rule.techniques, rule.invariant)
