"""What the replicas of one workload learnt, as one baseline: in any order, grouped in any way.

Sets are united and counts added. Resource readings are a sample of all of them: the rows whose
hash is lowest, so that the sample of samples is the sample of everything. What was measured
against one replica's own reference (the fitted model, the calibration, the coverage) does not
hold against the common one: the result learns until its gates open again, and knows everything
meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.assessment import BaselineState
from detectors.baseline import MAX_ROWS, Baseline
from detectors.errors import MergeError
from detectors.ngram import NgramModel
from detectors.repertoire import Place, Repertoire
from detectors.sequences import Sequences
from detectors.traffic import merged
from detectors.window import Phase
from detectors.words import merge as add_counts

REASON: Final = "merged from what several replicas learnt"

MAX_MERGED_WORDS: Final = 262_144
"""Different 7-grams of one role: with more, the workloads have little in common."""


def merge(baselines: Iterable[Baseline]) -> Baseline:
    """Return one baseline that knows what each of them knows. Changes none of them.

    Associative and commutative: however it is grouped and ordered, the bytes are the same.

    Raises:
        MergeError: there is none, they are of different workloads, or together they know more
            than a baseline holds.
    """
    given = list(baselines)
    if not given:
        raise MergeError("none was given")
    return reduce(_pair, given, _bare(given[0]))


def _bare(one: Baseline) -> Baseline:
    """Return an empty baseline of the same workload."""
    return Baseline(one.workload, reason=REASON)


def _pair(one: Baseline, other: Baseline) -> Baseline:
    if one.workload != other.workload:
        raise MergeError(f"{one.workload} and {other.workload} are different workloads")
    return Baseline(
        one.workload,
        BaselineState.LEARNING,
        windows=one.windows + other.windows,
        repertoire=_repertoire(one.repertoire, other.repertoire),
        sequences=_sequences(one.sequences, other.sequences),
        rows=_rows([*one.rows, *other.rows]),
        stride=max(one.stride, other.stride),
        watched=one.watched + other.watched,
        breaks=one.breaks + other.breaks,
        traffic=merged(one.traffic, other.traffic),
        uploads={
            phase: max(one.uploads.get(phase, 0.0), other.uploads.get(phase, 0.0))
            for phase in sorted(one.uploads.keys() | other.uploads.keys())
        },
        reason=REASON,
    )


def _repertoire(one: Repertoire, other: Repertoire) -> Repertoire:
    """Unite the keys; directories are counted anew by those, and stay open where one was."""
    united = Repertoire(
        programs=one.programs | other.programs,
        phases=one.phases | other.phases,
        open_folders={
            role: one.open_folders.get(role, set()) | other.open_folders.get(role, set())
            for role in one.open_folders.keys() | other.open_folders.keys()
        },
    )
    for role, kind, key in sorted({*one, *other}):
        united.add_known(role, kind, key)
    united.apart = _apart(one, other)
    united.once = _once(one, other)
    if united.refused:
        raise MergeError(f"together they hold {united.refused} items too many")
    united.refused = one.refused + other.refused
    return united


def _apart(one: Repertoire, other: Repertoire) -> dict[Place, set[Phase]]:
    """Return what neither saw in the steady state."""
    steady = {place for each in (one, other) for place in each if place not in each.apart}
    return {
        place: one.apart.get(place, set()) | other.apart.get(place, set())
        for place in sorted({*one.apart, *other.apart} - steady)
    }


def _once(one: Repertoire, other: Repertoire) -> dict[Place, int]:
    """Return what one saw at one time and the other never; the time says nothing elsewhere."""
    seen = [(each, place) for each in (one, other) for place in each]
    surely = {place for each, place in seen if place not in each.once}
    both = one.once.keys() & other.once.keys()
    return dict.fromkeys(sorted({*one.once, *other.once} - surely - both), 0)


def _sequences(one: Sequences, other: Sequences) -> Sequences:
    calls = [each.fewest_calls for each in (one, other) if each.fewest_calls]
    return Sequences(
        models={
            role: _model(one.models.get(role), other.models.get(role))
            for role in sorted(one.models.keys() | other.models.keys())
        },
        fewest_calls=min(calls, default=0),
    )


def _model(one: NgramModel | None, other: NgramModel | None) -> NgramModel:
    found = [each for each in (one, other) if each is not None]
    words, counts = add_counts(
        np.concatenate([each.words for each in found]),
        np.concatenate([each.counts for each in found]),
    )
    if len(words) > MAX_MERGED_WORDS:
        raise MergeError(f"together they hold {len(words):,} different sequences of one role")
    return NgramModel(words, counts, sum(each.left_out for each in found))


def _rows(rows: Iterable[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Return the different rows of lowest hash, in its order."""
    by_hash = {hashlib.blake2b(row.tobytes(), digest_size=16).digest(): row for row in rows}
    return [by_hash[digest] for digest in sorted(by_hash)[:MAX_ROWS]]
