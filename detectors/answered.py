"""Requests that would be grave if they were served wait for their answer: many are turned away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from detectors.sensitive import sensitivity
from detectors.window import Item, ItemKind, Route, Window

TURNED_AWAY: Final = "turned-away"
"""The mark of a request that was answered with 401, 403, 404 or 405: nobody acted on it."""

WAIT_NS: Final = 2_000_000_000
"""So long an answer is waited for: one that says no comes at once, and a call that loads a model
may take minutes. Then it is told as it is, unanswered."""

MOST_WAITING: Final = 256
"""More are told without waiting."""


def waits(item: Item) -> bool:
    """Tell whether an item is a request of a kind whose answer matters."""
    return item.kind is ItemKind.ENDPOINT and sensitivity(item) is not None


@dataclass(slots=True)
class Unanswered:
    """Holds requests back until their answer is known.

    Attributes:
        waiting: In the order in which they came.
    """

    waiting: list[Item] = field(default_factory=list)

    def ripe(self, window: Window) -> tuple[Item, ...]:
        """Return this window's items, but for those that wait; and earlier ones that no longer do.

        One whose requests were all turned away is marked so. What the answers of its kind were,
        the window tells: with others of the same kind that were served, it is not excused.
        """
        told = {} if window.traffic is None else {one.route: one for one in window.traffic.routes}
        passing = [item for item in window.items if not waits(item)]
        asked = [*self.waiting, *(item for item in window.items if waits(item))]
        self.waiting = []
        for item in asked:
            route = told.get(item.item)
            late = window.end_ns - item.time_ns >= WAIT_NS or len(self.waiting) >= MOST_WAITING
            if route is not None and route.answers:
                passing.append(_answered(item, route))
            elif late:
                passing.append(item)
            else:
                self.waiting.append(item)
        return tuple(passing)


def _answered(item: Item, route: Route) -> Item:
    away = route.denied >= route.answers
    return replace(item, marks=item.marks | {TURNED_AWAY}) if away else item


def at_once(items: Iterable[Item]) -> list[Item]:
    """Return the items that are judged without waiting for their window."""
    return [item for item in items if not waits(item)]
