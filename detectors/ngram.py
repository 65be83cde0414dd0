"""Interpolated Kneser-Ney over system calls, learnt from exact 7-gram counts.

The kernel hands over, per role and window, how often each word of seven calls occurred. That is
all this model needs: the counts of shorter contexts are those of its words' ends. A full trace
is cut into the same words first, so both give the same scores. Smoothing with three discounts
after Chen and Goodman, "An empirical study of smoothing techniques for language modeling",
1999; Witten-Bell smoothing told made-up attacks from ordinary traces no better and no worse (AUC
within .02 of each other). Sorted arrays and binary search instead of hashing: a whole batch of
words is scored in a handful of NumPy calls.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.errors import SequenceError
from detectors.words import (
    GRAM_BITS,
    GRAM_LENGTH,
    SYMBOLS,
    Words,
    check,
    contains,
    find,
    mask,
    merge,
)

MAX_WORDS: Final = 65_536
"""Per role of a live workload, whose steady loop makes a few thousand; the rarest are left out."""

Floats = NDArray[np.float64]
Counts = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class _Order:
    """Everything about k-grams: what followed each context of k-1 calls, and how often."""

    grams: Words
    discounted: Floats  # max(count - discount, 0) / total of its context
    contexts: Words
    backoff: Floats  # weight left to shorter contexts


@dataclass(slots=True)
class NgramModel:
    """Surprisal of a call after the six before it. `score` changes nothing.

    Attributes:
        words: Shape (n,), uint64, ascending: the 7-grams learnt.
        counts: Shape (n,), how often.
        left_out: Counts of words dropped to stay bounded.
        max_words: The bound.
    """

    words: Words = field(default_factory=lambda: np.zeros(0, np.uint64))
    counts: Counts = field(default_factory=lambda: np.zeros(0, np.uint64))
    left_out: int = 0
    max_words: int = MAX_WORDS
    _orders: tuple[_Order, ...] | None = None
    _bits: Floats | None = None
    _latest: tuple[Words, Floats] | None = None
    _asked: tuple[Words, NDArray[np.bool_]] | None = None

    def learn(self, words: Words, counts: Counts) -> None:
        """Add 7-gram counts.

        Args:
            words: Shape (n,), uint64, in any order, repeats allowed.
            counts: Shape (n,).

        Raises:
            SequenceError: the shapes differ, or a word has no newest call.
        """
        _check(words, counts)
        if not len(words):
            return
        at, known = find(self.words, words)
        if known.all():  # as nearly always, once it knows its loop: nothing is sorted then
            more = np.bincount(at, weights=counts, minlength=len(self.words))
            self.counts = self.counts + more.astype(np.uint64)  # exact as in `merge`
        else:
            self.words, self.counts = merge(
                np.concatenate([self.words, words]), np.concatenate([self.counts, counts])
            )
        if len(self.words) > self.max_words:
            self._drop_rarest()
        self._orders = self._bits = self._latest = self._asked = None

    def _drop_rarest(self) -> None:
        kept = np.sort(np.argsort(self.counts, kind="stable")[-self.max_words :])
        self.left_out += int(self.counts.sum() - self.counts[kept].sum())
        self.words, self.counts = self.words[kept], self.counts[kept]

    def __bool__(self) -> bool:
        """Return whether anything was learnt."""
        return len(self.words) > 0

    def knows(self, words: Words) -> NDArray[np.bool_]:
        """Return, per word, whether it was learnt. Shape as given."""
        if self._asked is None or self._asked[0] is not words:
            self._asked = (words, contains(self.words, words))
        return self._asked[1]

    def surprisal(self, words: Words) -> Floats | None:
        """Return how surprising each word's newest call is after the six before it.

        Args:
            words: Shape (n,), uint64.

        Returns:
            Shape (n,), bits, >= 0; None until something was learnt.
        """
        if not self:
            return None
        if self._latest is not None and self._latest[0] is words:
            return self._latest[1]  # one window is asked about for several ends
        if self._orders is None or self._bits is None:
            self._orders = _tabulate(self.words, self.counts)
            self._bits = _surprisal(self._orders, self.words)
        at, known = find(self.words, words)
        bits = self._bits[at]  # of nearly every call, once it knows its loop
        if not known.all():
            bits[~known] = _surprisal(self._orders, words[~known])
        self._latest, self._asked = (words, bits), (words, known)
        return bits

    def score(self, words: Words, counts: Counts) -> float | None:
        """Return the mean surprisal of a window's calls, bits per call.

        Args:
            words: Shape (n,), uint64.
            counts: Shape (n,).

        Returns:
            Bits, >= 0; None until something was learnt, or if the window made no call.

        Raises:
            SequenceError: the shapes differ, or a word has no newest call.
        """
        _check(words, counts)
        bits = self.surprisal(words)
        total = float(counts.sum())
        if bits is None or total == 0:
            return None
        return float(bits @ counts.astype(np.float64)) / total


def _check(words: Words, counts: Counts) -> None:
    check(words)
    if words.shape != counts.shape:
        raise SequenceError(f"{len(words)} words and {len(counts)} counts")


def _surprisal(orders: tuple[_Order, ...], words: Words) -> Floats:
    probability = np.full(len(words), 1.0 / (SYMBOLS - 1))
    for order, table in enumerate(orders, start=1):
        grams = words & mask(order)
        at, seen = find(table.contexts, grams >> np.uint64(GRAM_BITS))
        backoff = np.where(seen, table.backoff[at], 1.0)
        at, seen = find(table.grams, grams)
        probability = np.where(seen, table.discounted[at], 0.0) + backoff * probability
    bits: Floats = np.maximum(-np.log2(probability), 0.0)
    return bits


def _tabulate(words: Words, counts: Counts) -> tuple[_Order, ...]:
    """Make the tables of orders 1 to 7 from the distinct 7-grams.

    Orders below the highest count in how many different contexts a gram occurred, not how
    often: Kneser and Ney's continuation counts.
    """
    tables: list[_Order] = []
    grams, weight = words, counts.astype(np.float64)
    for order in range(GRAM_LENGTH, 0, -1):
        tables.append(_order(grams, weight))
        if order > 1:
            grams, continuations = np.unique(grams & mask(order - 1), return_counts=True)
            weight = continuations.astype(np.float64)
    return tuple(reversed(tables))


def _order(grams: Words, weight: Floats) -> _Order:
    discounts = _discounts(weight)
    discount = discounts[np.minimum(weight, 3).astype(np.intp)]
    contexts, inverse = np.unique(grams >> np.uint64(GRAM_BITS), return_inverse=True)
    total = np.bincount(inverse, weights=weight)
    left = np.bincount(inverse, weights=discount)
    return _Order(grams, (weight - discount) / total[inverse], contexts, left / total)


def _discounts(weight: Floats) -> Floats:
    """Return the discount for counts 0, 1, 2 and 3 or more.

    Where too few grams occur once to four times for the formula, Ney's usual three quarters is
    taken instead; never less than a tenth, so that something is always left for the unseen.
    """
    once, twice, thrice, four = (float(np.count_nonzero(weight == n)) for n in (1, 2, 3, 4))
    usual = np.array([0.0, 0.75, 0.75, 0.75])
    if min(once, twice, thrice) == 0:
        return usual
    y = once / (once + 2 * twice)
    found = np.array(
        [0.0, 1 - 2 * y * twice / once, 2 - 3 * y * thrice / twice, 3 - 4 * y * four / thrice]
    )
    clipped: Floats = np.clip(found, [0.0, 0.1, 0.1, 0.1], [0.0, 0.95, 1.9, 2.9])
    return clipped
