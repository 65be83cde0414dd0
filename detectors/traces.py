"""Judges whole traces with all sequence detectors together: for evaluation and replay.

Six statistics, each turned into its rank among ordinary traces, and merged as channels are live:
by the mean of the bets on their p-values, so that one that is sure outweighs others that see
nothing. They are the mean surprisal of the n-gram model; the largest of its rolling means over
20, 50 and 200 calls, since harmless calls around an attack dilute a mean; the share of sequences
STIDE never saw; the distance to the nearest traces. The ranks come from cross-fitting: each
training trace is scored by models that did not see it, so the threshold needs no attack and no
further normal data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors import framing, words
from detectors.errors import SequenceError
from detectors.neighbours import Neighbours
from detectors.ngram import NgramModel
from detectors.stide import Stide
from detectors.words import Words

SCALES: Final = (20, 50, 200)
"""Calls a rolling mean spans: an exploit's burst, a command, a session."""

FOLDS: Final = 5
MAX_WORDS: Final = 1 << 18
"""7-grams of many programs pooled; a live model is bounded more tightly."""

STATISTICS: Final = ("mean", *(f"maximum_{scale}" for scale in SCALES), "unknown", "distance")
"""Columns of everything below."""

Floats = NDArray[np.float64]


@dataclass(slots=True)
class TraceJudge:
    """Models and the ranks of ordinary traces. `score` changes nothing.

    Attributes:
        ngrams: Kneser-Ney model of order 7.
        stide: Sequences of six.
        neighbours: Kept traces.
        ordinary: Shape (n, k), each column ascending: statistics of traces by models that did
            not see them. Columns: STATISTICS.
        held_out: Shape (n,), ascending: combined scores of the same traces.
    """

    ngrams: NgramModel = field(default_factory=lambda: NgramModel(max_words=MAX_WORDS))
    stide: Stide = field(default_factory=lambda: Stide(max_known=MAX_WORDS))
    neighbours: Neighbours = field(default_factory=Neighbours)
    ordinary: Floats = field(default_factory=lambda: np.zeros((0, len(STATISTICS))))
    held_out: Floats = field(default_factory=lambda: np.zeros(0))

    def fit(self, traces: Sequence[Words]) -> None:
        """Learn from ordinary traces only.

        Args:
            traces: At least two per fold, each of shape (n,) as `words.from_numbers` returns.

        Raises:
            SequenceError: too few, or one is empty or no row of words.
        """
        if len(traces) < 2 * FOLDS:
            raise SequenceError(f"{len(traces)} traces are too few, at least {2 * FOLDS} needed")
        held_out = np.concatenate([self._held_out(traces, fold) for fold in range(FOLDS)])
        self._learn(traces)
        self.ordinary = np.sort(held_out, axis=0)
        self.held_out = np.sort(self.combine(held_out))

    @staticmethod
    def _held_out(traces: Sequence[Words], fold: int) -> Floats:
        """Return the statistics of every fifth trace by models of the others."""
        judge = TraceJudge()
        judge._learn([one for at, one in enumerate(traces) if at % FOLDS != fold])
        return judge.statistics(traces[fold::FOLDS])

    def _learn(self, traces: Sequence[Words]) -> None:
        everything = np.concatenate(list(traces))
        self.ngrams = NgramModel(max_words=MAX_WORDS)
        self.ngrams.learn(*words.count(everything))
        self.stide = Stide(max_known=MAX_WORDS)
        self.stide.learn(everything)
        self.neighbours = Neighbours()
        self.neighbours.fit(traces)

    def statistics(self, traces: Sequence[Words]) -> Floats:
        """Return each trace's raw statistics, shape (n, k); see `ordinary` for the columns.

        Raises:
            SequenceError: nothing was learnt, or a trace is empty.
        """
        if not self.ngrams or any(not len(one) for one in traces):
            raise SequenceError("nothing was learnt, or a trace is empty")
        if not traces:
            return np.zeros((0, len(STATISTICS)))
        distinct, inverse = np.unique(np.concatenate(list(traces)), return_inverse=True)
        surprisal = self.ngrams.surprisal(distinct)
        if surprisal is None:  # ruled out above: the model is not empty
            raise SequenceError("nothing was learnt")
        bits, unknown = surprisal[inverse], self.stide.unknown(distinct)[inverse]
        ends = np.cumsum([len(one) for one in traces])
        rows = []
        for start, end, near in zip(
            [0, *ends[:-1]], ends, self.neighbours.scores(traces), strict=True
        ):
            one = bits[start:end]
            maxima = [rolling_maximum(one, scale) for scale in SCALES]
            rows.append([one.mean(), *maxima, unknown[start:end].mean(), near or 0.0])
        return np.array(rows)

    def ranks(self, statistics: Floats) -> Floats:
        """Return where each statistic stands among ordinary traces, shape (n, k).

        In [0, 1] within them, growing on beyond 1 above the largest, so that clear cases keep
        their order.
        """
        each = [rank(self.ordinary[:, at], statistics[:, at]) for at in range(len(STATISTICS))]
        return np.stack(each, axis=1)

    def scores(self, traces: Sequence[Words]) -> Floats | None:
        """Return how unusual each trace is; see `combine`. None until something was learnt."""
        if not len(self.ordinary):
            return None
        return self.combine(self.statistics(traces))

    def combine(self, statistics: Floats) -> Floats:
        """Return the logarithm of the mean bet on each row of raw statistics, shape (n,).

        On made-up corpora of one to forty programs, whose attacks were bursts, odd calls among
        ordinary ones and long repetitions, the median rank found 11 % of them at 5 % false
        alarms where a seventh of the ordinary traces came from programs never learnt, these
        bets 16 %; the largest rank 22 %, but it is what every odd ordinary trace excels in, too.
        """
        ranks = self.ranks(statistics)
        p_values = 1.0 - np.minimum(ranks, 1.0) + 1.0 / (len(self.ordinary) + 1)
        bets = _bets(p_values) * np.maximum(ranks, 1.0)
        log: Floats = np.log(bets.mean(axis=1))
        return log

    def threshold(self, false_alarms: float) -> float | None:
        """Return the score that at most this share of ordinary traces exceeds.

        From training traces alone, split-conformal: infinite where they are too few to promise
        that share. None until something was learnt.
        """
        if not len(self.held_out):
            return None
        at = math.ceil((len(self.held_out) + 1) * (1.0 - false_alarms))
        return math.inf if at > len(self.held_out) else float(self.held_out[at - 1])

    def to_bytes(self) -> bytes:
        """Return what a host would need to score: models and ranks, without pickle."""
        return framing.pack(
            {},
            {
                "words": np.diff(self.ngrams.words, prepend=np.uint64(0)),
                "counts": self.ngrams.counts.astype(np.uint32),
                "pairs": self.neighbours.pairs,
                "kept": self.neighbours.kept,
                "ordinary": self.ordinary,
                "held_out": self.held_out,
            },
        )


def rolling_maximum(bits: Floats, scale: int) -> float:
    """Return the largest mean of `scale` calls in a row; the mean of all if there are fewer."""
    if len(bits) <= scale:
        return float(bits.mean())
    sums = np.concatenate([[0.0], np.cumsum(bits)])
    return float((sums[scale:] - sums[:-scale]).max()) / scale


def _bets(p_values: Floats) -> Floats:
    """Return the mixture bet on each p-value, as `detectors.eprocess.e_value` does on one."""
    p = np.minimum(p_values, 1.0 - 1e-3)  # beyond it 0 is divided by 0; the limit is 0.5
    log = np.log(p)
    bets: Floats = (1.0 - p + p * log) / (p * log * log)
    return bets


def mean_surprisal(model: NgramModel, traces: Sequence[Words]) -> Floats:
    """Return each trace's mean surprisal, shape (n,), bits per call.

    Raises:
        SequenceError: nothing was learnt, or a trace is empty.
    """
    if not model or any(not len(one) for one in traces):
        raise SequenceError("nothing was learnt, or a trace is empty")
    distinct, inverse = np.unique(np.concatenate(list(traces)), return_inverse=True)
    bits = model.surprisal(distinct)
    if bits is None:  # ruled out above
        raise SequenceError("nothing was learnt")
    starts = np.cumsum([0, *(len(one) for one in traces[:-1])])
    means: Floats = np.add.reduceat(bits[inverse], starts) / [len(one) for one in traces]
    return means


def rank(ordinary: Floats, values: Floats) -> Floats:
    """Return the share of `ordinary`, ascending, below each value; beyond it, more than 1.

    Grows on above the largest, so that clear cases keep their order.
    """
    low = np.searchsorted(ordinary, values, side="left")
    high = np.searchsorted(ordinary, values, side="right")
    inside = (low + high) / (2 * len(ordinary))
    spread = max(float(ordinary[-1] - np.median(ordinary)), 1e-9)
    beyond: Floats = 1.0 + np.maximum(values - ordinary[-1], 0.0) / spread
    return np.where(values > ordinary[-1], beyond, inside)
