"""Host names asked for: one new name is a name, many below one domain carry data or look around."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from detectors.assessment import Level, NovelItem
from detectors.repertoire import Repertoire
from detectors.window import Item, ItemKind

PREFIX: Final = "dns "
_ANY: Final = "dns *."

TUNNEL_NAMES: Final = 8
"""Different new names of one domain within ten seconds, as many as the peers that make a search. A
server that finds its shards by name had asked for them while it was learned; a tunnel of a hundred
bytes a question asks ten for a kilobyte."""


def is_question(text: str) -> bool:
    """Tell whether an item is a host name that was asked for."""
    return text.startswith(PREFIX)


def domain(name: str) -> str:
    """Return the last two labels: who answers for all names below, near enough without a list."""
    return ".".join(name.rstrip(".").split(".")[-2:])


def tunnel(near: Iterable[NovelItem], known: Repertoire) -> NovelItem | None:
    """Return what many names of one domain together are: data carried in questions, or a search.

    Args:
        near: Novelties of the last seconds.
        known: What somebody approved as such is nothing.
    """
    below: dict[str, dict[str, NovelItem]] = {}
    for one in near:
        name = one.item.removeprefix(PREFIX)
        if one.kind is ItemKind.PEER and is_question(one.item) and name != domain(name):
            below.setdefault(domain(name), {})[name] = one
    most = max(below, key=lambda of: len(below[of]), default="")
    if not most or len(below[most]) < TUNNEL_NAMES:
        return None
    last = max(below[most].values(), key=lambda one: one.time_ns)
    item = Item(ItemKind.PEER, _ANY + most, last.role, last.time_ns, last.pid, last.exe)
    if known.knows(item):
        return None
    return replace(
        last,
        item=item.item,
        sensitive=False,
        count=len(below[most]),
        level=Level.HIGH,
        reason=f"{len(below[most])} names of one domain within seconds: data carried in questions",
        techniques=("T1048.003", "T1071.004", "AML.T0025"),
    )


def phrase(text: str) -> str | None:
    """Return the item as what was done; None if it is no question."""
    if text.startswith(_ANY):
        return f"asked for many host names below {text.removeprefix(_ANY)}"
    if is_question(text):
        return "asked for the host name " + text.removeprefix(PREFIX)
    return None
