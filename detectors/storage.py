"""A baseline as bytes and back. No pickle: plain values and arrays, see `detectors.framing`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors import framing, traffic
from detectors.assessment import BaselineState
from detectors.baseline import Baseline
from detectors.conformal import Calibration
from detectors.errors import BaselineCorruptError
from detectors.features import NAMES
from detectors.ngram import NgramModel
from detectors.repertoire import Repertoire
from detectors.resources import ResourceModel
from detectors.unasked import padded
from detectors.window import ItemKind, Phase

_PLAIN = ("workload", "windows", "first_ns", "last_new_ns", "shadow_since_ns", "stride", "reason")
_LATER = ("made_of", "outdated", "learned_unix_ns", "uploads", "watched", "breaks")
"""Plain ones too, absent in what older programs wrote."""
_RESOURCES = ("columns", "centre", "scale", "precision", "low", "high")

Arrays = dict[str, NDArray[Any]]


def to_bytes(baseline: Baseline) -> bytes:
    """Return everything a baseline knows. Equal baselines give equal bytes."""
    head: dict[str, object] = {name: getattr(baseline, name) for name in (*_PLAIN, *_LATER)}
    head["made_of"] = dict(sorted(baseline.made_of.items()))
    head["uploads"] = dict(sorted(baseline.uploads.items()))
    head["state"] = str(baseline.state)
    head["features"] = list(NAMES)
    head["coverage"] = [list(pair) for pair in baseline.sequences.coverage_log]
    head["fewest_calls"] = baseline.sequences.fewest_calls
    head["repertoire"] = _pack_repertoire(baseline.repertoire)
    head["models"] = {
        role: model.left_out for role, model in sorted(baseline.sequences.models.items())
    }
    head["traffic"] = traffic.plain(baseline.traffic)
    head["strides"] = {name: one.stride for name, one in sorted(baseline.calibrations.items())}
    arrays: Arrays = {}
    for role, model in baseline.sequences.models.items():
        arrays[f"words/{role}"] = np.diff(model.words, prepend=np.uint64(0))
        arrays[f"counts/{role}"] = model.counts
    for channel, one in baseline.calibrations.items():
        arrays[f"calibration/{channel}"] = one.scores
    for channel, scores in baseline.shadow_scores.items():
        arrays[f"shadow/{channel}"] = np.array(scores)
    if baseline.rows:
        arrays["rows"] = np.array(baseline.rows)
    if baseline.resources is not None:
        for name in _RESOURCES:
            arrays[f"resources/{name}"] = getattr(baseline.resources, name)
    if baseline.unasked is not None:
        arrays["unasked/idle"] = baseline.unasked.idle
        arrays["unasked/cost"] = baseline.unasked.cost
        arrays["unasked/busy"] = baseline.unasked.busy
    return framing.pack(head, arrays)


def from_bytes(data: bytes) -> Baseline:
    """Return the baseline that `to_bytes` was given.

    Raises:
        BaselineCorruptError: not such bytes, damaged, or of another version.
    """
    head, arrays = framing.unpack(data)
    try:
        if head["features"] != list(NAMES):
            _rename_features(head["features"], arrays)
        return _baseline(head, arrays)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise BaselineCorruptError(f"its content does not fit: {error}") from error


def _rename_features(learnt: list[str], arrays: Arrays) -> None:
    """Put the columns of a program with other features where this one looks for them.

    A feature that it did not have was not read: NaN in the rows, no column of the model. One that
    this program no longer has is left out of the rows; the fitted model is dropped then, since
    its precision matrix speaks of all columns together.
    """
    if "rows" in arrays:
        rows = np.full((len(arrays["rows"]), len(NAMES)), np.nan)
        for at, name in enumerate(learnt):
            if name in NAMES:
                rows[:, NAMES.index(name)] = arrays["rows"][:, at]
        arrays["rows"] = rows
    if "resources/columns" not in arrays:
        return
    names = [learnt[at] for at in arrays["resources/columns"]]
    if all(name in NAMES for name in names):
        arrays["resources/columns"] = np.array([NAMES.index(name) for name in names], np.int64)
    else:
        del arrays["resources/columns"]


def _baseline(head: dict[str, Any], arrays: Arrays) -> Baseline:
    later = {name: head[name] for name in _LATER if name in head}
    baseline = Baseline(**{name: head[name] for name in _PLAIN}, **later)
    baseline.state = BaselineState(head["state"])
    baseline.sequences.coverage_log = [
        (int(known), int(total)) for known, total in head["coverage"]
    ]
    baseline.sequences.fewest_calls = int(head["fewest_calls"])
    baseline.repertoire = _unpack_repertoire(head["repertoire"])
    if "traffic" in head:  # absent in older ones: its requests were not read
        baseline.traffic = traffic.restored(head["traffic"])
    for role, left_out in head["models"].items():
        words = np.cumsum(arrays[f"words/{role}"], dtype=np.uint64)
        baseline.sequences.models[role] = NgramModel(words, arrays[f"counts/{role}"], int(left_out))
    for channel, stride in head["strides"].items():
        baseline.calibrations[channel] = Calibration(arrays[f"calibration/{channel}"], int(stride))
    for name, array in arrays.items():
        section, _, channel = name.partition("/")
        if section == "shadow":
            baseline.shadow_scores[channel] = [float(score) for score in array]
    if "rows" in arrays:
        baseline.rows = list(arrays["rows"])
    if "resources/columns" in arrays:
        baseline.resources = ResourceModel(*(arrays[f"resources/{name}"] for name in _RESOURCES))
    if "unasked/idle" in arrays:
        work = (arrays["unasked/idle"], arrays["unasked/cost"], arrays.get("unasked/busy"))
        baseline.unasked = padded(*work)
    return baseline


def _pack_repertoire(known: Repertoire) -> dict[str, object]:
    return {
        "keys": {
            role: {str(kind): sorted(keys) for kind, keys in sorted(kinds.items())}
            for role, kinds in sorted(known.keys.items())
        },
        "folders": {
            str(kind): dict(sorted(folders.items()))
            for kind, folders in sorted(known.folders.items())
        },
        "open": {role: sorted(opened) for role, opened in sorted(known.open_folders.items())},
        "programs": sorted(known.programs),
        "phases": sorted(known.phases),
        "apart": [[*place, sorted(phases)] for place, phases in sorted(known.apart.items())],
        "once": [[*place, at_ns] for place, at_ns in sorted(known.once.items())],
        "refused": known.refused,
    }


def _unpack_repertoire(packed: dict[str, Any]) -> Repertoire:
    return Repertoire(
        keys={
            role: {ItemKind(kind): set(keys) for kind, keys in kinds.items()}
            for role, kinds in packed["keys"].items()
        },
        folders={ItemKind(kind): dict(folders) for kind, folders in packed["folders"].items()},
        open_folders={role: set(opened) for role, opened in packed["open"].items()},
        programs=set(packed["programs"]),
        phases={Phase(phase) for phase in packed["phases"]},
        apart={
            (role, ItemKind(kind), key): {Phase(phase) for phase in phases}
            for role, kind, key, phases in packed.get("apart", ())  # absent in older ones
        },
        once={
            (role, ItemKind(kind), key): int(at_ns)
            for role, kind, key, at_ns in packed.get("once", ())
        },
        refused=int(packed["refused"]),
    )
