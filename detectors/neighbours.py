"""Distance of a trace to the nearest learnt traces, by how often one call follows another.

Each trace is a point: the square roots of its 2-gram frequencies, which have length 1, so that
the inner product is the Bhattacharyya coefficient and rare pairs count for more than in plain
frequencies. The nearest few decide (k nearest neighbours), so several ways of being ordinary
may exist side by side. For whole traces; live windows are too short for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.words import Words, check, contains, mask

NEAREST: Final = 3
"""One would trust a single odd learnt trace; more blurs small groups."""

MAX_TRACES: Final = 1_024
MAX_PAIRS: Final = 1_024
"""Kept traces (evenly spread) and pairs (most frequent): one byte each, 1 MB in all."""

_STEPS: Final = 255.0

Bytes = NDArray[np.uint8]


@dataclass(slots=True)
class Neighbours:
    """Learnt traces as points. `score` changes nothing.

    Attributes:
        pairs: Shape (p,), uint64, ascending: the 2-grams that span the space.
        kept: Shape (t, p + 1), uint8: square-rooted frequencies times 255; the last column
            holds what is in no pair.
    """

    pairs: Words = field(default_factory=lambda: np.zeros(0, np.uint64))
    kept: Bytes = field(default_factory=lambda: np.zeros((0, 1), np.uint8))

    def fit(self, traces: Sequence[Words]) -> None:
        """Learn these traces and no others. Each has shape (n,).

        Raises:
            SequenceError: one is not a row of words.
        """
        for words in traces:
            check(words)
        full = [words for words in traces if len(words)]
        step = -(-len(full) // MAX_TRACES) or 1
        full = full[::step]
        if not full:
            return
        found, counts = np.unique(np.concatenate(full) & mask(2), return_counts=True)
        self.pairs = np.sort(found[np.argsort(-counts, kind="stable")[:MAX_PAIRS]])
        self.kept = np.round(np.array([self._point(one) for one in full]) * _STEPS).astype(np.uint8)

    def _point(self, words: Words) -> NDArray[np.float32]:
        ends = words & mask(2)
        known = contains(self.pairs, ends)
        counts = np.bincount(
            np.searchsorted(self.pairs, ends[known]), minlength=len(self.pairs) + 1
        ).astype(np.float32)
        counts[-1] = np.count_nonzero(~known)
        point: NDArray[np.float32] = np.sqrt(counts / np.float32(len(words)))
        return point

    def scores(
        self, traces: Sequence[Words], *, leave_self_out: bool = False
    ) -> list[float | None]:
        """Return each trace's distance, in [0, 1]; None until learnt, or for an empty trace.

        Args:
            traces: Each of shape (n,).
            leave_self_out: The traces are the learnt ones: their nearest is themselves.

        Raises:
            SequenceError: one is not a row of words.
        """
        for words in traces:
            check(words)
        if not len(self.kept):
            return [None] * len(traces)
        learnt = self.kept.astype(np.float32) / np.float32(_STEPS)
        learnt /= np.maximum(np.linalg.norm(learnt, axis=1, keepdims=True), 1e-9)
        points = np.array(
            [self._point(one) if len(one) else np.zeros(len(self.pairs) + 1) for one in traces]
        )
        distance = 1.0 - points @ learnt.T
        first = 1 if leave_self_out and len(self.kept) > 1 else 0
        last = min(first + NEAREST, len(self.kept))
        nearest = np.sort(distance, axis=1)[:, first:last].mean(axis=1)
        return [
            max(0.0, float(near)) if len(one) else None
            for near, one in zip(nearest, traces, strict=True)
        ]

    def score(self, words: Words) -> float | None:
        """Return one trace's distance; see `scores`."""
        return self.scores([words])[0]
