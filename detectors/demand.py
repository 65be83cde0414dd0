"""The requests of the last windows of one workload: learnt, and held against what was learnt."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from detectors import inputs, traffic
from detectors.assessment import Level, NovelItem
from detectors.repertoire import Repertoire
from detectors.traffic import TrafficModel
from detectors.window import Item, ItemKind, Traffic, Window


@dataclass(slots=True)
class Demand:
    """Remembers some windows.

    Attributes:
        windows: The latest, oldest first; of one without requests only its length.
    """

    windows: deque[Traffic] = field(default_factory=lambda: deque(maxlen=traffic.SPAN))

    def take(self, window: Window) -> None:
        """Remember what was asked in this window."""
        self.windows.append(window.traffic or Traffic(window.length_s))

    def learn(self, model: TrafficModel) -> None:
        """Have the model take the remembered windows as ordinary."""
        model.learn(traffic.together(self.windows))

    def items(self, model: TrafficModel, window: Window) -> tuple[Item, ...]:
        """Return what of the remembered windows is beyond what was learnt, as something new."""
        if not self.windows or window.traffic is None:
            return ()
        return tuple(
            Item(ItemKind.ENDPOINT, one.name, "main", window.end_ns, 0, other=one.words)
            for one in model.findings(traffic.together(self.windows))
        )


def probed(found: Iterable[NovelItem], known: Repertoire) -> NovelItem | None:
    """Return what many kinds of request that were never served are together.

    Args:
        found: Novelties of one window.
        known: A probe that somebody approved is none.
    """
    new = {
        one.item: one
        for one in found
        if one.kind is ItemKind.ENDPOINT
        and one.item not in traffic.REASONS
        and not inputs.is_drift(one.item)
    }
    if len(new) < traffic.PROBED_ROUTES:
        return None
    last = max(new.values(), key=lambda one: one.time_ns)
    item = Item(ItemKind.ENDPOINT, traffic.PROBED, last.role, last.time_ns, last.pid, last.exe)
    if known.knows(item):
        return None
    words = f"{len(new)} kinds, such as {', '.join(sorted(new)[:3])}"
    return replace(
        last,
        item=item.item,
        sensitive=False,
        count=len(new),
        level=Level.MEDIUM,
        reason=f"{traffic.REASONS[traffic.PROBED]} ({words})",
        techniques=traffic.TECHNIQUES[traffic.PROBED],
        marks=frozenset(),
    )
