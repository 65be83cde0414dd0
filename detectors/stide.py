"""Share of a trace's six-call sequences that were never learnt.

Forrest, Hofmeyr, Somayaji and Longstaff, "A sense of self for Unix processes", 1996, with the
window of six that the field settled on. Uses the ends of the same words as `detectors.ngram`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.words import Words, check, contains, mask

ORDER: Final = 6

MAX_KNOWN: Final = 65_536
"""Sequences kept; once full, new ones are left out and will look unusual."""


@dataclass(slots=True)
class Stide:
    """A set of sequences. `score` changes nothing.

    Attributes:
        known: Shape (n,), uint64, ascending.
        left_out: Distinct sequences that did not fit.
        max_known: How many fit.
    """

    known: Words = field(default_factory=lambda: np.zeros(0, np.uint64))
    left_out: int = 0
    max_known: int = MAX_KNOWN

    def learn(self, words: Words) -> None:
        """Add a trace's sequences. words: shape (n,), as `words.from_numbers` returns."""
        check(words)
        fresh = np.unique(words & mask(ORDER))
        fresh = fresh[~contains(self.known, fresh)]
        room = self.max_known - len(self.known)
        self.left_out += max(0, len(fresh) - room)
        self.known = np.sort(np.concatenate([self.known, fresh[:room]]))

    def unknown(self, words: Words) -> NDArray[np.bool_]:
        """Return, per word, whether its last six calls were never learnt in this order."""
        check(words)
        return ~contains(self.known, words & mask(ORDER))

    def score(self, words: Words) -> float | None:
        """Return the share of sequences never learnt, in [0, 1].

        None until something was learnt, or for an empty trace.

        Raises:
            SequenceError: not one row of words.
        """
        unknown = self.unknown(words)
        if not len(self.known) or not len(words):
            return None
        return float(unknown.mean())
