"""Measures the detectors on our recordings, technique by technique.

What is scored is a recording: the largest score of its windows in each channel. Ordinary ones are
cut into stretches as long as the attacks are, so that neither has more chances to score high. A
channel's score is ranked among the stretches of other ordinary recordings (of the same, where
there is but one), and the highest rank is the recording's. Of each attack the prior has learnt
nothing, nor of others of its technique: it is made anew from the rest.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agent.evaluation.metrics import RESAMPLES, Floats, f1, pooled
from agent.evaluation.recordings import (
    Recording,
    RecordingSet,
    RecordingSetError,
    Seen,
    read_set,
)
from agent.evaluation.traces import MAX_NAMED
from detectors.assessment import Level
from detectors.prior import MIN_RECORDINGS, AttackPrior, unexplained
from detectors.traces import rank

CHANNELS: Final = ("sequence", "unseen", "resources", "likeness")
OWN: Final = CHANNELS[:-1]
"""What needs no prior."""

_NOTHING: Final = -1.0
"""A channel that said nothing: below every score."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Ordinary stretches and the attacks of one technique, by channel, under one prior.

    Attributes:
        ordinary: Shape (stretches, channels).
        attacks: Shape (attacks, channels).
        kinds: Of each attack.
        owners: Of each stretch, which ordinary recording it is of.
        prior: Whether it was learnt from enough to be asked.
    """

    ordinary: Floats
    attacks: Floats
    kinds: tuple[str, ...]
    owners: tuple[int, ...]
    prior: bool = True

    def scores(self, channels: Sequence[str]) -> tuple[Floats, Floats]:
        """Return one score for each stretch and each attack: the highest rank of these channels."""
        usable = channels if self.prior else [one for one in channels if one in OWN] or channels
        chosen = [CHANNELS.index(channel) for channel in usable]
        owners = np.array(self.owners)
        ordinary = np.array(
            [
                _highest(self.ordinary[_others(owners, at)], row, chosen)
                for at, row in enumerate(self.ordinary)
            ]
        )
        attacks = [_highest(self.ordinary, row, chosen) for row in self.attacks]
        return ordinary, np.array(attacks)


def _others(owners: NDArray[np.int_], at: int) -> NDArray[np.bool_]:
    """Tell which stretches one is ranked by: other recordings' or, of a single one, its own."""
    others: NDArray[np.bool_] = owners != owners[at]
    return others if others.any() else np.arange(len(owners)) != at


def _highest(reference: Floats, row: Floats, channels: Iterable[int]) -> float:
    return max(float(rank(np.sort(reference[:, at]), row[at : at + 1])[0]) for at in channels)


def evaluate_recordings(root: Path) -> dict[str, Any]:
    """Score attacks against ordinary life, each technique by a prior that never met it.

    Args:
        root: Laid out as `agent.evaluation.recordings` says.

    Returns:
        ``auc``; ``auc_ci`` (95 %, bootstrap); ``dr_at_far``; ``threshold``: what the product's
        own alarms, high and critical, give without any prior; ``f1`` of those; ``by_type``: the
        same by technique; ``detectors``: AUC of each channel alone; ``without_prior``: what is
        left of the figures without it; ``us_per_call``; ``model_bytes``; ``recordings``,
        ``stretches``, ``windows``, ``calls``, ``lost``, ``refused`` and ``refused_files``.

    Raises:
        RecordingSetError: A part is missing, or nothing in it can be used.
    """
    started = time.process_time()
    given = read_set(root)
    folds = _folds(given)
    if len(folds[0].ordinary) < 2:  # noqa: PLR2004 - one, and another to rank it by
        raise RecordingSetError(root, "its ordinary life is no longer than two of its attacks")
    recordings = [*given.normal, *given.attacks]
    calls = sum(one.calls for one in recordings)
    scored = [fold.scores(CHANNELS) for fold in folds]
    without = pooled([fold.scores(OWN) for fold in folds])
    seconds = time.process_time() - started
    return (
        pooled(scored)
        | {"auc_ci": _interval(scored)}
        | _alarms(given)
        | {
            "by_type": _by_type(given, folds, scored),
            "detectors": {
                name: pooled([fold.scores([name]) for fold in folds])["auc"] for name in CHANNELS
            },
            "without_prior": without,
            "us_per_call": seconds * 1e6 / max(calls, 1),
            "model_bytes": max(one.model_bytes for one in recordings)
            + len(_prior(given, "").to_bytes()),
            "recordings": {"normal": len(given.normal), "attack": len(given.attacks)},
            "stretches": len(folds[0].ordinary),
            "windows": sum(len(one.windows) for one in recordings),
            "calls": calls,
            "lost": sum(one.lost for one in recordings),
            "refused": len(given.refused),
            "refused_files": given.refused[:MAX_NAMED],
        }
    )


def _folds(given: RecordingSet) -> list[Fold]:
    length = max(1, int(np.median([len(one.windows) for one in given.attacks])))
    stretches = [
        (at, one.windows[start : start + length])
        for at, one in enumerate(given.normal)
        for start in range(0, len(one.windows), length)
    ]
    folds = []
    for technique in sorted({one.technique for one in given.attacks}):
        prior = _prior(given, technique)
        mine = [one for one in given.attacks if one.technique == technique]
        folds.append(
            Fold(
                np.array([_largest(windows, prior) for _, windows in stretches]),
                np.array([_largest(one.windows, prior) for one in mine]),
                tuple(one.kind for one in mine),
                tuple(at for at, _ in stretches),
                prior.recordings >= MIN_RECORDINGS,
            )
        )
    return folds


def _prior(given: RecordingSet, without: str) -> AttackPrior:
    """Learn what attacks of other techniques added to what servers do."""
    return learn_prior((one for one in given.attacks if one.technique != without), given.normal)


def learn_prior(attacks: Iterable[Recording], normal: Iterable[Recording]) -> AttackPrior:
    """Return a prior of these attacks, less what ordinary life adds by itself."""
    ordinary = [one.fresh for one in normal]
    prior = AttackPrior()
    prior.learn(unexplained(one.fresh, ordinary) for one in attacks)
    return prior


def _largest(windows: Iterable[Seen], prior: AttackPrior) -> list[float]:
    """Return each channel's largest score."""
    found = [
        {**window.scores, "likeness": prior.score(window.fresh, window.surprisal)}
        for window in windows
    ]
    each = ([one[name] for one in found if one.get(name) is not None] for name in CHANNELS)
    return [max((score or 0.0 for score in scores), default=_NOTHING) for scores in each]


def _interval(scored: Sequence[tuple[Floats, Floats]]) -> list[float]:
    """Return the 95 % interval of the AUC over seeded resamples of attacks and of stretches."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(len(scored[0][0]), size=len(scored[0][0]))
        found.append(pooled([(o[chosen], rng.choice(a, len(a))) for o, a in scored])["auc"])
    return [float(end) for end in np.percentile(found, [2.5, 97.5])]


def _alarmed(one: Recording) -> bool:
    return max(window.level for window in one.windows) >= Level.HIGH


def _alarms(given: RecordingSet) -> dict[str, Any]:
    alarms = sum(_alarmed(one) for one in given.normal)
    detected = sum(_alarmed(one) for one in given.attacks)
    return {
        "f1": f1(detected, alarms, len(given.attacks)),
        "threshold": {
            "value": Level.HIGH.label,
            "far": alarms / len(given.normal),
            "dr": detected / len(given.attacks),
        },
    }


def _by_type(
    given: RecordingSet, folds: Sequence[Fold], scored: Sequence[tuple[Floats, Floats]]
) -> dict[str, Any]:
    found = {}
    for kind in sorted({one.kind for one in given.attacks}):
        mine = [
            (ordinary, attacks[np.array(fold.kinds) == kind])
            for fold, (ordinary, attacks) in zip(folds, scored, strict=True)
            if kind in fold.kinds
        ]
        alarmed = [_alarmed(one) for one in given.attacks if one.kind == kind]
        found[kind] = pooled(mine) | {
            "recordings": len(alarmed),
            "dr_deployed": float(np.mean(alarmed)),
        }
    return found
