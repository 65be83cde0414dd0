"""How much of a workload's weights left to new peers, or was read by those who had it already."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from detectors.assessment import Level, NovelItem
from detectors.repertoire import Repertoire
from detectors.resources import ResourceModel
from detectors.window import Item, ItemKind, Phase, Window

FLOOR_BYTES: Final = 64 << 10
"""Less than this is what a question and its certificates take, however small the weights."""

MAX_PEERS: Final = 256

MAIN: Final = "main"
_TECHNIQUES: Final = ("T1041", "AML.T0025", "AML.T0035")
_ALL: Final = "all its new peers"
_SENT: Final = "% of its weights to "
_AGAIN: Final = "% of its weights again"

TAKEN: Final = "taken"
TAKEN_MOST: Final = "taken-most"
"""Marks of a model that a stranger has read a part of: more than the first share, than the last."""

_READ: Final = ("read_weights_bytes", "mapped_weights_bytes")
_OWN: Final = "bytes_out_initiated"
_USUAL: Final = 2.0
"""Times the learnt high that a window may read or send: highs are of one window in a hundred."""

_LEFT_SHARE: Final = 0.5
"""Of what was read again, sent on its own connections: compressed weights are not much smaller."""


def is_departure(item: str) -> bool:
    """Tell whether an item is of this module."""
    return _SENT in item or item.endswith(_AGAIN)


def phrase(item: str) -> str:
    """Return such an item as what was done."""
    return f"read {item}" if item.endswith(_AGAIN) else f"sent {item}"


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


@dataclass(slots=True)
class Rereads:
    """Adds up what a workload in its steady state read of its weights beyond what was learnt.

    By itself that is a reload, and a fact for the record; with about as much sent on connections
    of its own, to whomever, it is a model that leaves.

    Attributes:
        read_bytes: Beyond the learnt.
        sent_bytes: The same, on its own connections, since it began to read.
    """

    read_bytes: float = 0.0
    sent_bytes: float = 0.0
    told: set[tuple[float, Level]] = field(default_factory=set)

    def look(
        self, window: Window, model: ResourceModel | None, percents: tuple[float, ...]
    ) -> tuple[NovelItem, ...]:
        """Return what was passed in this window: one share, the largest.

        Args:
            window: With the size of what it serves.
            model: The readings that are ordinary; None: nothing is.
            percents: Shares of the weights, ascending.
        """
        if model is None or not window.weights_bytes or window.phase is not Phase.STEADY:
            return ()
        read = sum(_beyond(window, model, name) for name in _READ)
        self.read_bytes += read
        if self.read_bytes:
            self.sent_bytes += _beyond(window, model, _OWN)
        share = 100.0 * self.read_bytes / window.weights_bytes
        over = [percent for percent in percents if share >= percent]
        if not over or self.read_bytes < FLOOR_BYTES:
            return ()
        leaves = self.sent_bytes >= max(_LEFT_SHARE * over[-1] / 100.0 * window.weights_bytes, 1)
        level = Level.LOW
        if leaves and self.sent_bytes >= FLOOR_BYTES:
            level = Level.HIGH if over[-1] == percents[-1] else Level.MEDIUM
        if (over[-1], level) in self.told:
            return ()
        self.told |= {(percent, each) for percent in over for each in Level if each <= level}
        return (self._item(window, over[-1], share, level),)

    def _item(self, window: Window, percent: float, share: float, level: Level) -> NovelItem:
        return NovelItem(
            ItemKind.MODEL,
            f"{percent:g} {_AGAIN}",
            sensitive=False,
            count=1,
            pid=0,
            role=MAIN,
            reason=f"{self.read_bytes:,.0f} bytes beyond what it was learned to read, {share:.1f} %"
            f" of the {window.weights_bytes:,} bytes of its weights, and {self.sent_bytes:,.0f}"
            " bytes beyond the learned sent on its own connections meanwhile",
            techniques=("T1005", "AML.T0035") if level < Level.MEDIUM else _TECHNIQUES,
            time_ns=window.end_ns,
            exe="",
            level=level,
        )


def _beyond(window: Window, model: ResourceModel, name: str) -> float:
    """Return a window's bytes beyond what was learnt of a reading in B/s."""
    usual = _USUAL * (model.learned_high(name) or 0.0)
    return max(0.0, window.features.get(name, 0.0) - usual) * window.length_s
