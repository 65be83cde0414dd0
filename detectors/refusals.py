"""Connects that nobody answered: one is an accident, many different ones are a search."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from detectors.assessment import Level, NovelItem
from detectors.generalise import split_endpoint
from detectors.repertoire import Repertoire
from detectors.window import Item, ItemKind

PREFIX: Final = "refused "
_SWEEP: Final = "sweep "

SWEEP_PEERS: Final = 8
"""Different peers within ten seconds, none of them ever answering: as many as the directories that
make a search. A client that tries its resolver's answers has two to four; one that lost its whole
cluster had them for peers before, and those do not count."""


def is_refusal(text: str) -> bool:
    """Tell whether an item is a connect that was not answered."""
    return text.startswith(PREFIX)


def of_known_peer(item: Item, known: Repertoire) -> bool:
    """Tell whether the peer that did not answer is one that the workload is known to call."""
    asked = replace(item, item=item.item.removeprefix(PREFIX))
    return is_refusal(item.item) and known.other_role_knows(asked)


def judged(item: Item, known: Repertoire) -> tuple[Level, str, tuple[str, ...]]:
    """Return how serious one refusal is alone, in words, with its techniques.

    That the peer is new is judged where it was called.
    """
    why = ", ".join(sorted(item.marks)) or "no answer"
    if of_known_peer(item, known):
        return Level.INFO, f"a peer it knows did not answer ({why})", ()
    return Level.LOW, f"a peer that did not answer ({why})", ("T1046",)


def sweep(near: Iterable[NovelItem], known: Repertoire) -> NovelItem | None:
    """Return what many refusals together are: a search for what listens.

    Args:
        near: Novelties of the last seconds.
        known: A search that somebody approved is none.
    """
    found = {one.item: one for one in near if is_refusal(one.item) and one.level >= Level.LOW}
    if len(found) < SWEEP_PEERS:
        return None
    last = max(found.values(), key=lambda one: one.time_ns)
    hosts = {split_endpoint(text.removeprefix(PREFIX))[1] for text in found}
    where = hosts.pop() if len(hosts) == 1 else "of many addresses"
    item = Item(ItemKind.PEER, _SWEEP + where, last.role, last.time_ns, last.pid, last.exe)
    if known.knows(item):
        return None
    return replace(
        last,
        item=item.item,
        sensitive=False,
        count=len(found),
        level=Level.HIGH,
        reason=f"{len(found)} peers within seconds that did not answer: a search for what listens",
        techniques=("T1046", "AML.T0049"),
    )


def phrase(text: str) -> str | None:
    """Return the item as what was done; None if it is nothing of this page."""
    if is_refusal(text):
        return "tried in vain to reach " + text.removeprefix(PREFIX)
    if text.startswith(_SWEEP):
        where = text.removeprefix(_SWEEP)
        return "searched the ports " + (where if where.startswith("of ") else f"of {where}")
    return None
