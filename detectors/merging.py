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
from detectors.repertoire import Repertoire
from detectors.sequences import Sequences
from detectors.traffic import merged
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
        traffic=merged(one.traffic, other.traffic),
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
    if united.refused:
        raise MergeError(f"together they hold {united.refused} items too many")
    united.refused = one.refused + other.refused
    return united


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
