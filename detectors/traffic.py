"""What is asked of a server, against what was asked while it was learnt: rates, sizes, errors.

Numbers alone, no content: who asks for far more than anybody did, for far more different things,
for what fails, or gets far more back. The learnt highs are those of ten seconds at a time; what
is told exceeds them several times over, so that ten times the load, spread or through one load
balancer, is nothing to tell. Source of the shapes: MITRE ATLAS AML.T0024 (a model's behaviour is
copied by asking it much), AML.T0029 and AML.T0034 (it is kept busy, or made to cost).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from detectors.errors import FeatureError
from detectors.window import Route, Traffic

SPAN: Final = 10
"""Windows looked at together."""

MIN_WINDOWS: Final = 16
"""With requests, learnt before anything is told."""

FLOOD, SWEEP = "client-flood", "client-sweep"
ERRORS, REFUSALS = "error-burst", "refusal-burst"
GROWN_IN, GROWN_OUT = "requests-grown", "answers-grown"
UNASKED, PROBED = "answers-unasked", "routes-probed"

MORE: Final = {FLOOD: 10.0, SWEEP: 4.0, GROWN_IN: 4.0, GROWN_OUT: 4.0, UNASKED: 4.0}
"""By finding, how many times the learnt high is too much."""

LEAST: Final = {FLOOD: 20.0, SWEEP: 64.0, GROWN_IN: 16384.0, GROWN_OUT: 16384.0, UNASKED: 16384.0}
"""By finding, and below this it is nothing: requests per second, different things, bytes of one
request or answer, bytes per second."""

MIN_FAILED: Final = {ERRORS: 20, REFUSALS: 40}
MIN_SHARE: Final = {ERRORS: 0.2, REFUSALS: 0.5}
"""Answers that failed in the span, and their share of all, below which it is nothing; a learnt
share counts twice."""

MIN_ANSWERS: Final = 5
"""Of one route in the span, for a mean."""

MAX_ROUTES: Final = 256
PROBED_ROUTES: Final = 8
"""Kinds of request never served before, in one window: somebody looks for what there is."""

REASONS: Final = {
    FLOOD: "one client asks far more than any did",
    SWEEP: "one client asks for far more different things than any did, as whoever copies a model",
    ERRORS: "far more requests fail in the server than before",
    REFUSALS: "far more requests are refused than before",
    GROWN_IN: "requests are far larger than any were",
    GROWN_OUT: "answers are far larger than any were",
    UNASKED: "it sends on its clients' connections without being asked",
    PROBED: "many kinds of request that it never served came at once, as of a scanner",
}
TECHNIQUES: Final = {
    FLOOD: ("T1499", "AML.T0029", "AML.T0034"),
    SWEEP: ("AML.T0024", "AML.T0040"),
    ERRORS: ("T1499", "AML.T0029"),
    REFUSALS: ("T1595", "AML.T0040"),
    GROWN_IN: ("T1499", "AML.T0029", "AML.T0034"),
    GROWN_OUT: ("AML.T0024", "T1041"),
    UNASKED: ("T1041", "AML.T0025"),
    PROBED: ("T1595", "AML.T0040"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing beyond what was learnt.

    Attributes:
        name: Of REASONS.
        ratio: How many times its limit it is; above 1 it is told.
        words: The numbers, for people.
    """

    name: str
    ratio: float
    words: str


def together(windows: Iterable[Traffic]) -> Traffic:
    """Return several windows as one; of the client that asked most in the latest of them."""
    given = list(windows)
    routes: dict[str, Route] = {}
    for one in given:
        for route in one.routes:
            routes[route.route] = _added(routes.get(route.route), route)
    client = next((one.client for one in reversed(given) if one.client), "")
    mine = [one for one in given if one.client == client]
    return Traffic(
        sum(one.length_s for one in given),
        tuple(sorted(routes.values(), key=lambda route: (-route.requests, route.route))),
        client,
        sum(one.client_requests for one in mine),
        max((one.client_inputs for one in mine), default=0),
        sum(one.unasked_bytes for one in given),
    )


def _added(before: Route | None, route: Route) -> Route:
    if before is None:
        return route
    return Route(
        route.route,
        before.requests + route.requests,
        before.answered + route.answered,
        before.answers + route.answers,
        before.errors + route.errors,
        before.refusals + route.refusals,
        before.bytes_in + route.bytes_in,
        before.bytes_out + route.bytes_out,
        before.denied + route.denied,
    )


@dataclass(slots=True)
class TrafficModel:
    """Highs of what was asked; learning raises them, scoring changes nothing.

    Attributes:
        windows: With requests.
        highs: By finding; those of one route under `finding route`.
    """

    windows: int = 0
    highs: dict[str, float] = field(default_factory=dict)

    def learn(self, span: Traffic) -> None:
        """Take what was asked over the last windows as ordinary.

        Raises:
            FeatureError: an impossible length.
        """
        _check(span)
        self.windows += bool(span.routes)
        for name, value in _values(span):
            room = " " not in name or name in self.highs or len(self.highs) < 2 * MAX_ROUTES
            if room:
                self.highs[name] = max(self.highs.get(name, 0.0), value)

    def score(self, span: Traffic) -> float | None:
        """Return the largest part of a limit that is used. None until enough was learnt."""
        _check(span)
        if self.windows < MIN_WINDOWS:
            return None
        return max((finding.ratio for finding in self._findings(span)), default=0.0)

    def findings(self, span: Traffic) -> tuple[Finding, ...]:
        """Return what is beyond its limit, by how much most first; empty until ready."""
        if not self.score(span):
            return ()
        found: dict[str, Finding] = {}
        for one in sorted(self._findings(span), key=lambda finding: -finding.ratio):
            if one.ratio > 1:
                found.setdefault(one.name, one)
        return tuple(found.values())

    def _findings(self, span: Traffic) -> Iterable[Finding]:
        for key, value in _values(span):
            name, _, route = key.partition(" ")
            high = self.highs.get(key)
            if name in MIN_SHARE:
                limit = max(MIN_SHARE[name], 2 * (high or 0.0))
                enough = _failed(span, name) >= MIN_FAILED[name]
            else:
                if route and high is None:
                    continue  # a route that is new is told as that
                limit = max(MORE[name] * (high or 0.0), (high or 0.0) + LEAST[name])
                enough = True
            if enough:
                yield Finding(name, value / limit, _words(name, route, value, high or 0.0, span))


def _check(span: Traffic) -> None:
    if not 0 < span.length_s < float("inf"):
        raise FeatureError("a window of requests has a length in seconds")


def _failed(span: Traffic, name: str) -> int:
    return sum(route.errors if name == ERRORS else route.refusals for route in span.routes)


def _values(span: Traffic) -> Iterable[tuple[str, float]]:
    yield FLOOD, span.client_requests / span.length_s
    yield SWEEP, float(span.client_inputs)
    yield UNASKED, span.unasked_bytes / span.length_s
    answers = sum(route.answers for route in span.routes)
    for name in (ERRORS, REFUSALS):
        if answers >= MIN_FAILED[name]:
            yield name, _failed(span, name) / answers
    for route in span.routes:
        if route.answered >= MIN_ANSWERS:
            yield f"{GROWN_OUT} {route.route}", route.bytes_out / route.answered
        if route.requests >= MIN_ANSWERS:
            yield f"{GROWN_IN} {route.route}", route.bytes_in / route.requests


def _words(name: str, route: str, value: float, high: float, span: Traffic) -> str:
    over = f"over {span.length_s:.0f} s"
    if name == FLOOD:
        return f"{span.client}: {value:,.0f} requests a second {over}, learnt at most {high:,.1f}"
    if name == SWEEP:
        return f"{span.client}: about {value:,.0f} different ones, learnt at most {high:,.0f}"
    if name in MIN_SHARE:
        return (
            f"{_failed(span, name)} answers {over}, {value:.0%} of all, learnt at most {high:.0%}"
        )
    if name == UNASKED:
        return f"{value:,.0f} bytes a second {over}, learnt at most {high:,.0f}"
    return f"{route}: {value:,.0f} bytes each {over}, learnt at most {high:,.0f}"


def plain(model: TrafficModel) -> dict[str, Any]:
    """Return a model as plain values."""
    return {"windows": model.windows, "highs": dict(sorted(model.highs.items()))}


def restored(values: dict[str, Any]) -> TrafficModel:
    """Return the model that `plain` was given."""
    highs = {str(name): float(high) for name, high in values["highs"].items()}
    return TrafficModel(int(values["windows"]), highs)


def merged(one: TrafficModel, other: TrafficModel) -> TrafficModel:
    """Return what two replicas learnt as one: either's high is ordinary for both."""
    names = one.highs.keys() | other.highs.keys()
    highs = {n: max(one.highs.get(n, 0.0), other.highs.get(n, 0.0)) for n in names}
    return TrafficModel(one.windows + other.windows, highs)
