"""What the bodies of requests consist of, by route, against what they consisted of while learnt.

The input is a sketch: 256 counts of salted hashes of three bytes in a row, no content. Some
requests together, a stretch, are compared with all that was learnt of their route: the
Jensen-Shannon divergence (Lin, 1991) in bits, 0 for the same distribution, 1 for nothing in common.
How far ordinary stretches lie, others tell, which are not part of what they are compared with.

A drift is a run: of n ordinary stretches at most s lie as far as the nearest of the last k. If all
n + k are exchangeable, the chance of that is C(k + s, k) / C(n + k, k), whatever the distribution:
all k must be among the k + s farthest. The mean number of false alarms in a month is at most that
times the stretches in a month. A stretch of more requests lies nearer if requests are independent,
and not if topics come and go; it counts as far only if it does in both readings: as it is, and
times its requests.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detectors.conformal import stride_for
from detectors.eprocess import MONTH_S
from detectors.errors import FeatureError

COUNTERS: Final = 256

STRETCH_GRAMS: Final = 4096
STRETCH_REQUESTS: Final = 16
"""A stretch has both at least: sixteen 3-grams a counter, and more than what one client sent."""

REFERENCE: Final = 16
CALIBRATION: Final = 32
"""Stretches before the next step, if the baseline is through its learning, or shadow, earlier."""

MOST_SCORES: Final = 1024
SPARED: Final = 16
"""Of so many ordinary stretches one may lie as far as it likes, without hiding a drift."""

MIN_RUN: Final = 3
MAX_ROUTES: Final = 256

NAME: Final = "input-drift"
REASON: Final = "its requests' bodies consist of other things than they did while it was learnt"
TECHNIQUES: Final = ("AML.T0040", "AML.T0043")

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def is_drift(item: str) -> bool:
    """Tell whether an item is a drift of inputs, which is told and never a step of anything."""
    return item.startswith(f"{NAME} ")


def phrase(item: str) -> str:
    """Return what happened, for a sentence; empty for any other item."""
    return f"was sent other inputs for {item.partition(' ')[2]}" if is_drift(item) else ""


@dataclass(frozen=True, slots=True)
class Sketch:
    """What was read of one route's bodies in one window.

    Attributes:
        counts: Shape (COUNTERS,), int64.
    """

    route: str
    requests: int
    counts: Counts


@dataclass(frozen=True, slots=True)
class Moved:
    """A run of stretches that are not as learnt.

    Attributes:
        stretches: How many, over so many seconds.
        bits: The nearest of them, Jensen-Shannon divergence.
        usual_bits: Up to which an ordinary one lies.
        chance: Of such a run, if nothing changed.
    """

    route: str
    stretches: int
    seconds: float
    bits: float
    usual_bits: float
    chance: float

    @property
    def item(self) -> str:
        """What a verdict calls it, and an operator approves."""
        return f"{NAME} {self.route}"

    @property
    def words(self) -> str:
        """The numbers, for people."""
        return (
            f"{self.route}: {self.stretches} stretches of requests in a row,"
            f" over {self.seconds:,.0f} s, lie {self.bits:.3f} bits or more from what was learnt,"
            f" ordinary ones at most"
            f" {self.usual_bits:.3f}; by chance once in {1 / self.chance:,.0f}. What was in them is"
            " not known: counts of hashes are all there is"
        )


def divergence(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Return the Jensen-Shannon divergence of two arrays of counts, bits.

    Raises:
        FeatureError: counts that are negative, not finite, or none at all.
    """
    parts = []
    for each in (one, other):
        counts = np.asarray(each, np.float64)
        total = counts.sum()
        if not np.isfinite(total) or total <= 0 or (counts < 0).any():
            raise FeatureError("a sketch has counts that are not negative, and some")
        parts.append(counts / total)
    middle = (parts[0] + parts[1]) / 2
    bits = 0.0
    for part in parts:
        some = part > 0
        bits += float(part[some] @ np.log2(part[some] / middle[some])) / 2
    return min(1.0, max(0.0, bits))


def chance(calibrated: int, spared: int, run: int) -> float:
    """Return how likely `run` exchangeable scores all exceed all but `spared` of the others."""
    return math.comb(run + spared, run) / math.comb(calibrated + run, run)


def _nothing() -> Counts:
    return np.zeros(COUNTERS, np.int64)


@dataclass(slots=True)
class RouteInputs:
    """One route: what was learnt, how far ordinary stretches lie, and those since.

    Attributes:
        usual: Shape (COUNTERS,): all that was learnt, added up.
        learnt: Stretches in it.
        scores: Of ordinary stretches in their order: bits, and bits times requests.
        run: The latest stretches that all lie too far: bits, seconds.
        told: Whether this run is known by now.
    """

    usual: Counts = field(default_factory=_nothing)
    learnt: int = 0
    scores: list[tuple[float, float]] = field(default_factory=list)
    run: list[tuple[float, float]] = field(default_factory=list)
    told: bool = False
    counts: Counts = field(default_factory=_nothing)
    requests: int = 0
    length_s: float = 0.0

    @property
    def ready(self) -> bool:
        """Whether a stretch can be judged."""
        return self.learnt >= REFERENCE and len(self.scores) >= CALIBRATION

    def score(self, counts: NDArray[Any]) -> float | None:
        """Return how far a stretch lies, bits. Changes nothing. None until enough was learnt."""
        return divergence(counts, self.usual) if self.learnt >= REFERENCE else None

    def limits(self) -> tuple[float, float]:
        """Return what a stretch exceeds that lies too far: bits, and bits times requests."""
        spared = len(self.scores) // SPARED
        bits, scaled = (sorted(each)[-1 - spared] for each in zip(*self.scores, strict=True))
        return bits, scaled

    def close(self, *, learning: bool, shadow: bool) -> None:
        """Learn the stretch at hand or judge it, and begin the next one."""
        bits = self.score(self.counts)
        if bits is None or learning:
            self.usual, self.learnt = self.usual + self.counts, self.learnt + 1
            self.scores, self.run, self.told = [], [], False
        elif shadow or not self.ready:
            self.scores = [*self.scores, (bits, bits * self.requests)][-MOST_SCORES:]
        else:
            limit, scaled_limit = self.limits()
            if bits > limit and bits * self.requests > scaled_limit:
                self.run = [*self.run, (bits, self.length_s)][-MOST_SCORES:]
            else:
                self.run, self.told = [], False
        self.counts, self.requests, self.length_s = _nothing(), 0, 0.0

    def moved(self, route: str, per_month: float) -> Moved | None:
        """Return the run at hand if chance makes fewer than `per_month` of its kind in a month."""
        if not self.run or self.told or not self.ready:
            return None
        # Neighbours resemble each other: n of them are fewer independent ones.
        stride = stride_for(np.array([bits for bits, _ in self.scores]))
        run, calibrated = len(self.run) // stride, len(self.scores) // stride
        if run < MIN_RUN:
            return None
        seconds = sum(length_s for _, length_s in self.run)
        likely = chance(calibrated, -(-(len(self.scores) // SPARED) // stride), run)
        if likely * MONTH_S / (seconds / len(self.run)) > per_month:
            return None
        nearest = min(bits for bits, _ in self.run)
        return Moved(route, len(self.run), seconds, nearest, self.limits()[0], likely)


@dataclass(slots=True)
class InputModel:
    """One workload's routes. Bounded: further ones are counted in `refused`."""

    routes: dict[str, RouteInputs] = field(default_factory=dict)
    refused: int = 0

    def take(
        self, window: Iterable[Sketch], length_s: float, *, learning: bool, shadow: bool
    ) -> None:
        """Take one window in; stretches that are full by now are learnt or judged.

        Args:
            window: What was read in it.
            length_s: Seconds.
            learning: The workload's baseline still learns.
            shadow: Or is in its shadow.

        Raises:
            FeatureError: impossible counts or length; nothing was changed then.
        """
        read = list(window)
        _check(read, length_s)
        for route in self.routes.values():
            route.length_s += length_s
        for one in read:
            if one.route not in self.routes and len(self.routes) >= MAX_ROUTES:
                self.refused += 1
                continue
            mine = self.routes.setdefault(one.route, RouteInputs(length_s=length_s))
            mine.counts = mine.counts + one.counts
            mine.requests += one.requests
            if mine.requests >= STRETCH_REQUESTS and mine.counts.sum() >= STRETCH_GRAMS:
                mine.close(learning=learning, shadow=shadow)

    def moved(self, false_alarms_per_month: float) -> tuple[Moved, ...]:
        """Return the drifts that are worth telling; the budget is shared by all routes."""
        judged = sum(route.ready for route in self.routes.values())
        found = (
            route.moved(name, false_alarms_per_month / judged)
            for name, route in sorted(self.routes.items())
            if route.ready
        )
        return tuple(one for one in found if one is not None)

    def tell(self, moved: Iterable[Moved]) -> None:
        """Take these as told: no more of them until their run has ended."""
        for one in moved:
            self.routes[one.route].told = True


def _check(read: Iterable[Sketch], length_s: float) -> None:
    if not 0 < length_s < float("inf"):
        raise FeatureError("a window has a length in seconds")
    for one in read:
        if one.counts.shape != (COUNTERS,) or one.requests < 0 or (one.counts < 0).any():
            raise FeatureError("a sketch has 256 counts, none of them negative")


def plain(model: InputModel) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what is kept, as `framing` takes it; the stretches at hand are not."""
    head: dict[str, Any] = {}
    arrays: dict[str, NDArray[Any]] = {}
    for at, (name, route) in enumerate(sorted(model.routes.items())):
        if route.learnt:
            head[name] = [at, route.learnt]
            arrays[f"usual/{at}"] = route.usual
            arrays[f"scores/{at}"] = np.array(route.scores, np.float64).reshape(-1, 2)
    return head, arrays


def restored(head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> InputModel:
    """Return the model that `plain` was given.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    model = InputModel()
    for name, (at, learnt) in head.items():
        usual = arrays[f"usual/{at}"].astype(np.int64)
        if usual.shape != (COUNTERS,):
            raise ValueError("a sketch has 256 counts")
        scores = [(float(bits), float(scaled)) for bits, scaled in arrays[f"scores/{at}"]]
        model.routes[str(name)] = RouteInputs(usual, int(learnt), scores)
    return model
