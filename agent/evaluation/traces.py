"""Measures the product's own sequence detectors on sets of plain-text traces.

Nothing here is tuned to a data set: the detectors learn from the training traces with the
settings they have in the product, and the deployment's threshold comes from those alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from agent.errors import AgentError
from agent.evaluation.metrics import Floats, auc, auc_interval, best_f1, f1, pooled, rates
from detectors import words
from detectors.errors import SequenceError
from detectors.ngram import NgramModel
from detectors.traces import FOLDS, MAX_WORDS, STATISTICS, TraceJudge, mean_surprisal
from probes import syscalls

DEPLOYED_RATE: Final = 0.05
"""Share of ordinary traces the reported deployment threshold may exceed."""

PRIOR_FOLDS: Final = 10
"""At most so many priors; with more types than that, each knows fewer of the others."""

MAX_TRACE_BYTES: Final = 64 << 20
_DIGITS: Final = b"0123456789 \t\r\n\v\f"
MAX_NAMED: Final = 20
"""Refused files named in the result; the rest is counted."""


class TraceSetError(AgentError):
    """The {0} traces in {1} cannot be used: {2}."""

    exit_code = 65


@dataclass(slots=True)
class TraceSet:
    """Traces of one directory, and what was refused.

    Attributes:
        traces: Words of each trace, in order of path.
        types: Name of each file's parent directory.
        refused: "path: why", of files that are no traces.
    """

    traces: list[words.Words] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def calls(self) -> int:
        """Return how many calls all traces hold."""
        return sum(len(one) for one in self.traces)


def read_traces(name: str, root: Path) -> TraceSet:
    """Read every file below a directory, or the one file, as a trace.

    Args:
        name: What the set is for, named in errors.
        root: Directory, nested as deep as one likes.

    Raises:
        TraceSetError: there is no such path, or not one file is a trace.
    """
    if not root.exists():
        raise TraceSetError(name, root, "there is no such directory")
    found = TraceSet()
    for path in _files(root):
        try:
            numbers = parse_trace(path)
        except (SequenceError, OSError) as error:
            found.refused.append(f"{path}: {error}")
            continue
        found.traces.append(numbers)
        found.types.append(path.parent.name)
    if not found.traces:
        why = found.refused[0] if found.refused else "it holds no file"
        raise TraceSetError(name, root, f"not one file is a trace ({why})")
    return found


def _files(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            yield path


def parse_trace(path: Path) -> words.Words:
    """Return the words of one trace: call numbers or names, separated by white space.

    Raises:
        SequenceError: it is empty, too large, no text, or holds something that is no call.
        OSError: it cannot be read.
    """
    if path.stat().st_size > MAX_TRACE_BYTES:
        raise SequenceError(f"larger than {MAX_TRACE_BYTES >> 20} MiB")
    raw = path.read_bytes().replace(b",", b" ")
    if not raw.strip():
        raise SequenceError("it is empty")
    if not raw.translate(None, _DIGITS):  # as most sets are: no object for each of their calls
        return words.from_numbers(np.fromstring(raw.decode("ascii"), np.int64, sep=" "))
    try:
        tokens = raw.decode("utf-8").split()
    except UnicodeDecodeError as error:
        raise SequenceError(f"no text: byte {error.start} is no UTF-8") from error
    try:
        numbers = [int(token) if token.isdecimal() else _number(token) for token in tokens]
    except KeyError as error:
        raise SequenceError(f"{error.args[0]!r} is no system call") from error
    except ValueError as error:
        raise SequenceError("a number has thousands of digits") from error
    return words.from_numbers(numbers)


def _number(token: str) -> int:
    return syscalls.number(token.removesuffix("()").removeprefix("sys_"))


def evaluate_traces(train: Path, normal: Path, attack: Path) -> dict[str, Any]:
    """Learn from ordinary traces, then score other ordinary traces and attacks.

    Returns:
        ``auc``; ``auc_ci`` (95 %, bootstrap); ``dr_at_far``: detection where the share of the
        normal traces named by the key alarms; ``threshold``: the one a deployment takes from
        the training traces alone, what it promises and what it gives; ``f1`` at it, and
        ``f1_best`` at the best threshold in hindsight; ``by_type``: the same per attack type;
        ``detectors``: AUC of each statistic alone; ``with_prior``: what knowing attacks of
        *other* types would give, None with one type; ``us_per_call``; ``model_bytes``;
        ``traces``, ``calls``, ``refused`` and ``refused_files``.

    Raises:
        TraceSetError: a set cannot be used.
    """
    sets = {
        name: read_traces(name, root)
        for name, root in (("training", train), ("normal", normal), ("attack", attack))
    }
    judge = TraceJudge()
    try:
        judge.fit(sets["training"].traces)
    except SequenceError as error:
        raise TraceSetError("training", train, f"{error}; at least {2 * FOLDS} needed") from error
    started = time.perf_counter()
    statistics = judge.statistics(sets["normal"].traces + sets["attack"].traces)
    scores = judge.combine(statistics)
    seconds = time.perf_counter() - started
    ordinary, attacks = np.split(scores, [len(sets["normal"].traces)])
    calls = sets["normal"].calls + sets["attack"].calls
    return (
        rates(ordinary, attacks)
        | _deployed(judge, ordinary, attacks)
        | {
            "auc_ci": auc_interval(ordinary, attacks),
            "by_type": _by_type(judge, ordinary, attacks, sets["attack"].types),
            "detectors": _each(judge.ranks(statistics), len(ordinary)),
            "with_prior": _with_prior(statistics[:, 0], sets["normal"], sets["attack"]),
            "us_per_call": seconds * 1e6 / calls,
            "model_bytes": len(judge.to_bytes()),
        }
        | _counts(sets)
    )


def _with_prior(surprisal: Floats, normal: TraceSet, attack: TraceSet) -> dict[str, Any] | None:
    """Return the figures of a likelihood ratio, each type by a model that never met it.

    Args:
        surprisal: Bits per call by the ordinary model: of the normal traces, then the attacks.
        normal: Scored under every such model.
        attack: A model is learnt from all types but those of one fold.
    """
    types = sorted(set(attack.types))
    if len(types) < 2:  # noqa: PLR2004 - there are no others
        return None
    fold_of = {kind: at % PRIOR_FOLDS for at, kind in enumerate(types)}
    folds = np.array([fold_of[kind] for kind in attack.types])
    parts = []
    for fold in range(max(folds) + 1):
        model = NgramModel(max_words=MAX_WORDS)
        others = [one for one, at in zip(attack.traces, folds, strict=True) if at != fold]
        model.learn(*words.count(np.concatenate(others)))
        ordinary = surprisal[: len(normal.traces)] - mean_surprisal(model, normal.traces)
        mine = [one for one, at in zip(attack.traces, folds, strict=True) if at == fold]
        bits = surprisal[len(normal.traces) :][folds == fold]
        parts.append((ordinary, bits - mean_surprisal(model, mine)))
    return pooled(parts)


def _counts(sets: dict[str, TraceSet]) -> dict[str, Any]:
    refused = [one for each in sets.values() for one in each.refused]
    return {
        "traces": {name: len(one.traces) for name, one in sets.items()},
        "calls": {name: one.calls for name, one in sets.items()},
        "refused": len(refused),
        "refused_files": refused[:MAX_NAMED],
    }


def _deployed(judge: TraceJudge, ordinary: Floats, attacks: Floats) -> dict[str, Any]:
    threshold = judge.threshold(DEPLOYED_RATE)
    if threshold is None:
        raise TraceSetError("training", "-", "nothing was learnt")
    detected, alarms = attacks > threshold, ordinary > threshold
    return {
        "f1": f1(int(detected.sum()), int(alarms.sum()), len(attacks)),
        "f1_best": best_f1(ordinary, attacks),
        "threshold": {
            "value": threshold if np.isfinite(threshold) else None,
            "nominal_far": DEPLOYED_RATE,
            "far": float(alarms.mean()),
            "dr": float(detected.mean()),
        },
    }


def _by_type(
    judge: TraceJudge, ordinary: Floats, attacks: Floats, types: Sequence[str]
) -> dict[str, Any]:
    threshold = judge.threshold(DEPLOYED_RATE)
    labels = np.array(types)
    return {
        name: rates(ordinary, attacks[labels == name])
        | {
            "traces": int((labels == name).sum()),
            "dr_deployed": float((attacks[labels == name] > threshold).mean()),
        }
        for name in sorted(set(types))
    }


def _each(ranks: Floats, normal: int) -> dict[str, float]:
    return {name: auc(ranks[:normal, at], ranks[normal:, at]) for at, name in enumerate(STATISTICS)}
