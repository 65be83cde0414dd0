"""The call sequences of one workload: a model per role, and how well they cover what it does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors import words
from detectors.assessment import SurprisingGram
from detectors.ngram import NgramModel
from detectors.prior import AttackPrior
from detectors.window import COPIES, Grams

COVERAGE_WINDOWS: Final = 32
"""Windows the coverage is measured over."""

MAX_SHOWN: Final = 65_536
"""Unseen 7-grams remembered per role as already counted."""

STRANGER_BITS: Final = float(words.GRAM_BITS)
"""Surprisal of a call by a role without a model: any of 512 numbers, all alike."""


@dataclass(slots=True)
class Sequences:
    """Models by role.

    Attributes:
        models: By role.
        coverage_log: Newest last: calls known beforehand and all calls, per window.
        fewest_calls: In any window learnt; 0 at first.
        shown: By role, ascending: unseen 7-grams that were already counted as evidence. No part
            of what is known: they stay unseen, but the same one weighs only once.
        prior: What attacks look like, of the program and no part of what was learnt here; None:
            nothing is compared with it.
    """

    models: dict[str, NgramModel] = field(default_factory=dict)
    coverage_log: list[tuple[int, int]] = field(default_factory=list)
    fewest_calls: int = 0
    shown: dict[str, words.Words] = field(default_factory=dict)
    prior: AttackPrior | None = None

    def learn(self, grams: Iterable[Grams]) -> None:
        """Take one window's counts in, after measuring how much of it was known."""
        known = total = 0
        for one in grams:
            model = self.models.setdefault(one.role, NgramModel())
            known += int(one.counts[model.knows(one.words)].sum())
            total += int(one.counts.sum())
            model.learn(one.words, one.counts)
        if total:
            self.fewest_calls = min(self.fewest_calls or total, total)
            self.coverage_log.append((known, total))
            del self.coverage_log[:-COVERAGE_WINDOWS]

    @property
    def coverage(self) -> float | None:
        """Share of the latest windows' 7-gram counts that were known beforehand; None at first."""
        total = sum(calls for _, calls in self.coverage_log)
        return sum(known for known, _ in self.coverage_log) / total if total else None

    def scores(self, grams: Sequence[Grams]) -> dict[str, float]:
        """Return the mean surprisal of all calls and the bits of 7-grams seen for the first time.

        The second does not shrink when an attack's calls are mixed with harmless ones, and a
        harmless novelty that repeats, as an idle server's timer does, weighs once. Changes
        nothing: `note` marks what was counted.

        Returns:
            ``unseen`` in bits; with a prior ``likeness``, also in bits: how much likelier attacks
            make those; and ``sequence`` in bits per call, only from half the fewest calls of a
            learnt window on: a mean over less says little. Empty if nothing was learnt or no
            call was made.
        """
        bits, calls = 0.0, 0
        for one in grams:
            bits += float(self._surprisal(one)[0] @ one.counts.astype(np.float64))
            calls += int(one.counts.sum())
        if not calls or not self.models:
            return {}
        fresh, surprisal = self.fresh(grams)
        found = {"unseen": float(surprisal.sum())}
        likeness = None if self.prior is None else self.prior.score(fresh, surprisal)
        if likeness is not None:
            found["likeness"] = likeness
        return found if 2 * calls < self.fewest_calls else found | {"sequence": bits / calls}

    def fresh(self, grams: Iterable[Grams]) -> tuple[words.Words, NDArray[np.float64]]:
        """Return the sequences never learnt and not yet counted, and how surprising each is.

        Changes nothing. Both have shape (n,); one that two roles made is there twice.
        """
        found, surprisals = [np.zeros(0, np.uint64)], [np.zeros(0)]
        for one in grams:
            surprisal, known = self._surprisal(one)
            if known.all():
                continue
            fresh = ~known & ~words.contains(self._shown(one.role), one.words)
            found.append(one.words[fresh])
            surprisals.append(surprisal[fresh])
        return np.concatenate(found), np.concatenate(surprisals)

    def note(self, grams: Iterable[Grams]) -> None:
        """Remember this window's unseen 7-grams as counted, as far as there is room."""
        for one in grams:
            known = self._surprisal(one)[1]
            if known.all():
                continue
            shown = self._shown(one.role)
            fresh = one.words[~known & ~words.contains(shown, one.words)]
            room = MAX_SHOWN - len(shown)
            if len(fresh):
                self.shown[one.role] = np.unique(np.concatenate([shown, fresh[:room]]))

    def _shown(self, role: str) -> words.Words:
        return self.shown.get(role, np.zeros(0, np.uint64))

    def _surprisal(self, grams: Grams) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        least = np.full(len(grams.words), STRANGER_BITS)
        known = np.zeros(len(grams.words), np.bool_)
        for model in self._models_of(grams.role):
            surprisal = model.surprisal(grams.words)
            if surprisal is not None:
                least = np.minimum(least, surprisal)
            known |= model.knows(grams.words)
        return least, known

    def _models_of(self, role: str) -> list[NgramModel]:
        """Return the role's own and that of what it is a copy of, as far as there are any."""
        asked = (role, COPIES.get(role, ""))
        return [self.models[one] for one in asked if one in self.models]

    def unseen_in(self, grams: Iterable[Grams]) -> bool:
        """Whether any 7-gram was never learnt, by roles that have a model."""
        return any(self._models_of(one.role) and not self._surprisal(one)[1].all() for one in grams)

    def surprising(self, grams: Iterable[Grams], limit: int) -> tuple[SurprisingGram, ...]:
        """Return the most surprising 7-grams, unseen ones first. Changes nothing."""
        found: list[SurprisingGram] = []
        for one in grams:
            if not self._models_of(one.role):
                continue
            surprisal, known = self._surprisal(one)
            found += [
                SurprisingGram(
                    role=one.role,
                    calls=words.names(int(one.words[at])),
                    count=int(one.counts[at]),
                    surprisal_bits=float(surprisal[at]),
                    seen=bool(known[at]),
                )
                for at in np.lexsort((one.words, -surprisal, known))[:limit]
            ]
        found.sort(key=lambda gram: (gram.seen, -gram.surprisal_bits))
        return tuple(found[:limit])
