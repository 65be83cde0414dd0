"""What attackers' calls look like: a second model, learnt from recorded drills.

A one-class model says how unlike itself a server behaves; this one, how like an attack. A call
sequence that the server was never seen to make counts by the ratio of the two likelihoods: bits
it surprises the server's own model by, minus bits it surprises this one by. What is merely new
to the server (an import, a reload) is surprising to both and cancels; a program started through
a pipe is only new to one. Each sequence counts once however often it was drilled, weighed by the
number of recordings that made it, so that no long drill speaks for the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors import framing
from detectors.errors import BaselineCorruptError, SequenceError
from detectors.ngram import NgramModel
from detectors.words import Words, check, contains

MAX_WORDS: Final = 32_768
"""Half of a role's own model: the sequences of a few hundred drills."""

MIN_RECORDINGS: Final = 10
"""Of attacks, before it is asked at all. On subsets of a real server's recordings, one more
channel from fewer lowered the AUC in four of ten and gained .03; from ten on it gained .08 or more
and lowered it in one of twelve at most."""

MAX_BYTES: Final = 1 << 20

_FORMAT: Final = "attack prior"

Floats = NDArray[np.float64]


@dataclass(slots=True)
class AttackPrior:
    """Model of post-exploitation behaviour. `score` changes nothing.

    Attributes:
        model: Over the sequences that attacks added to what servers do.
        recordings: How many it was learnt from.
    """

    model: NgramModel = field(default_factory=lambda: NgramModel(max_words=MAX_WORDS))
    recordings: int = 0

    def learn(self, attacks: Iterable[Words]) -> None:
        """Add recorded attacks.

        Args:
            attacks: Of each recording the 7-grams that its server's baseline does not know,
                shape (n,), repeats allowed.

        Raises:
            SequenceError: one is no row of words.
        """
        distinct = []
        for words in attacks:
            check(words)
            distinct.append(np.unique(words))
            self.recordings += 1
        if distinct:
            together, recordings = np.unique(np.concatenate(distinct), return_counts=True)
            self.model.learn(together, recordings.astype(np.uint64))

    def bits(self, words: Words) -> Floats | None:
        """Return how surprising each word is among attacks, shape (n,); None until learnt."""
        return self.model.surprisal(words)

    def score(self, words: Words, surprisal: Floats) -> float | None:
        """Return how much likelier an attack makes these sequences than the server does.

        Args:
            words: Shape (n,): distinct sequences the server was never seen to make.
            surprisal: Shape (n,): bits by the server's own model.

        Returns:
            Bits, >= 0: of what the server itself explains better, nothing is told. None until
            enough recordings were learnt.

        Raises:
            SequenceError: no row of words, or the shapes differ.
        """
        check(words)
        if words.shape != surprisal.shape:
            raise SequenceError(f"{len(words)} words and {len(surprisal)} surprisals")
        if self.recordings < MIN_RECORDINGS:
            return None
        if self.model and not len(words):  # as in nearly every window
            return 0.0
        bits = self.bits(words)
        return None if bits is None else max(0.0, float((surprisal - bits).sum()))

    def to_bytes(self) -> bytes:
        """Return it as it is shipped. Equal priors give equal bytes."""
        head = {"format": _FORMAT, "recordings": self.recordings, "left_out": self.model.left_out}
        steps = np.diff(self.model.words, prepend=np.uint64(0))
        return framing.pack(head, {"steps": steps, "counts": self.model.counts.astype(np.uint32)})

    @staticmethod
    def from_bytes(data: bytes) -> AttackPrior:
        """Return what `to_bytes` was given.

        Raises:
            BaselineCorruptError: not such bytes, damaged, or of another version.
        """
        head, arrays = framing.unpack(data)
        try:
            if head.get("format") != _FORMAT:
                raise BaselineCorruptError("they hold something else")
            words = np.cumsum(arrays["steps"], dtype=np.uint64)
            counts = arrays["counts"].astype(np.uint64)
            model = NgramModel(words, counts, int(head["left_out"]), MAX_WORDS)
            return AttackPrior(model, int(head["recordings"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BaselineCorruptError(f"its content does not fit: {error}") from error


def unexplained(fresh: Words, ordinary: Iterable[Words]) -> Words:
    """Return what an attack added that ordinary life does not add by itself.

    Args:
        fresh: Shape (n,): sequences of the attack's recording its server's baseline lacks.
        ordinary: Ascending each: the same of recordings of ordinary life.
    """
    found = np.unique(fresh)
    for one in ordinary:
        found = found[~contains(one, found)]
    return found
