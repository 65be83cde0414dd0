"""Seven system calls in one 64-bit word, as the kernel counts them.

Each call number takes nine bits and is stored plus one, the newest lowest; 0 stands for "before
the thread's first call". The last k calls are the lowest 9*k bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.errors import SequenceError
from probes import syscalls

GRAM_LENGTH: Final = 7
GRAM_BITS: Final = 9
SYMBOLS: Final = 1 << GRAM_BITS
NUMBER_MAX: Final = SYMBOLS - 2

Words = NDArray[np.uint64]


def mask(order: int) -> np.uint64:
    """Return the mask of the last `order` calls."""
    return np.uint64((1 << (GRAM_BITS * order)) - 1)


def from_numbers(numbers: Sequence[int] | NDArray[np.int64]) -> Words:
    """Return the word after each call of one thread's trace, in order.

    Args:
        numbers: Shape (n,), call numbers from the thread's first call on.

    Returns:
        Shape (n,), uint64.

    Raises:
        SequenceError: a number is negative or above 510.
    """
    calls = np.asarray(numbers, dtype=np.int64)
    if calls.size and (calls.min() < 0 or calls.max() > NUMBER_MAX):
        raise SequenceError(f"call numbers must lie in 0..{NUMBER_MAX}")
    symbols = (calls + 1).astype(np.uint64)
    words = symbols.copy()
    for back in range(1, GRAM_LENGTH):
        words[back:] |= symbols[:-back] << np.uint64(GRAM_BITS * back)
    return words


def check(words: Words) -> None:
    """Refuse what is no row of words.

    Raises:
        SequenceError: another shape or type, or a word without a newest call.
    """
    if words.ndim != 1 or words.dtype != np.uint64:
        raise SequenceError(f"{words.dtype} of shape {words.shape} is not one row of uint64")
    if not (words & mask(1)).all():
        raise SequenceError("a word has no newest call")


def find(table: Words, keys: Words) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return a position in the ascending table for each key, and whether it is the key's own."""
    if not len(table):
        return np.zeros(len(keys), np.intp), np.zeros(len(keys), np.bool_)
    at = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return at, table[at] == keys


def contains(table: Words, keys: Words) -> NDArray[np.bool_]:
    """Return, per key, whether the ascending table holds it."""
    return find(table, keys)[1]


def count(words: Words) -> tuple[Words, NDArray[np.uint64]]:
    """Return the distinct words, ascending, and how often each occurs."""
    distinct, counts = np.unique(words, return_counts=True)
    return distinct, counts.astype(np.uint64)


def merge(words: Words, counts: NDArray[np.uint64]) -> tuple[Words, NDArray[np.uint64]]:
    """Add up the counts of equal words. Returns them ascending."""
    distinct, inverse = np.unique(words, return_inverse=True)
    # bincount adds in float64: exact up to 2**53 calls, 28 years of ten million a second
    return distinct, np.bincount(inverse, weights=counts, minlength=len(distinct)).astype(np.uint64)


def names(word: int) -> tuple[str, ...]:
    """Return the calls of a word by name, oldest first; none for "before the first call"."""
    symbols = [(word >> (GRAM_BITS * back)) & (SYMBOLS - 1) for back in range(GRAM_LENGTH)]
    return tuple(syscalls.name(symbol - 1) for symbol in reversed(symbols) if symbol)
