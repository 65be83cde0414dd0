"""How much of a workload's weights left on connections that it opened itself to new peers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from detectors.assessment import Level, NovelItem
from detectors.repertoire import Repertoire
from detectors.window import Item, ItemKind, Window

FLOOR_BYTES: Final = 64 << 10
"""Less than this is what a question and its certificates take, however small the weights."""

MAX_PEERS: Final = 256

MAIN: Final = "main"
_TECHNIQUES: Final = ("T1041", "AML.T0025", "AML.T0035")
_ALL: Final = "all its new peers"
_SENT: Final = "% of its weights to "


def is_departure(item: str) -> bool:
    """Tell whether an item is of this module."""
    return _SENT in item


@dataclass(slots=True)
class Departures:
    """Adds up what each new peer was sent; tells each share of the weights once.

    Peers that were learnt are not counted: what they may take is the learnt budget's affair.
    """

    sent: dict[str, int] = field(default_factory=dict)
    told: set[tuple[str, float]] = field(default_factory=set)

    def look(
        self, window: Window, known: Repertoire, percents: tuple[float, ...]
    ) -> tuple[NovelItem, ...]:
        """Return what was passed in this window, the largest share of each peer alone.

        Args:
            window: With the peers that it sent most to, and the size of what it serves.
            known: What was learnt.
            percents: Shares of the weights, ascending; at the last one it is critical.
        """
        if not window.weights_bytes:
            return ()
        for one in window.uploads:
            peer = Item(ItemKind.PEER, one.peer, MAIN, window.end_ns, 0)
            if not known.other_role_knows(peer):
                self.sent[one.peer] = one.total_bytes
        while len(self.sent) > MAX_PEERS:
            del self.sent[min(self.sent, key=lambda peer: self.sent[peer])]
        passed = [self._passed(peer, sent, window, percents) for peer, sent in self.sent.items()]
        # Last: what one peer alone was sent is told of that one.
        passed.append(self._passed(_ALL, sum(self.sent.values()), window, percents))
        return tuple(one for one in passed if one is not None)

    def _passed(
        self, peer: str, sent: int, window: Window, percents: tuple[float, ...]
    ) -> NovelItem | None:
        share = 100.0 * sent / window.weights_bytes
        over = [percent for percent in percents if share >= percent]
        if not over or sent < FLOOR_BYTES or (peer, over[-1]) in self.told:
            return None
        if peer == _ALL and any(percent == over[-1] for _, percent in self.told):
            return None
        self.told.update((peer, percent) for percent in over)
        return NovelItem(
            ItemKind.MODEL,
            f"{over[-1]:g} {_SENT}{peer}",
            sensitive=True,
            count=1,
            pid=0,
            role=MAIN,
            reason=f"{sent:,} bytes on connections that it opened itself, {share:.1f} % of the"
            f" {window.weights_bytes:,} bytes of its weights",
            techniques=_TECHNIQUES,
            time_ns=window.end_ns,
            exe="",
            level=Level.CRITICAL if over[-1] == percents[-1] else Level.HIGH,
        )
