"""Drift of inputs: none of the same source, told of another, as seldom by chance as promised."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors import inputs
from detectors.assessment import Level
from detectors.errors import FeatureError
from detectors.inputs import (
    CALIBRATION,
    COUNTERS,
    REFERENCE,
    InputModel,
    RouteInputs,
    Sketch,
    chance,
    divergence,
)
from detectors.novelty import assess
from detectors.repertoire import Repertoire
from detectors.window import Item, ItemKind
from tests.unit.detectors.factory import guarding_judge, item

ROUTE = "POST /v1/completions"
ENGLISH = [
    "the",
    "quick",
    "answer",
    "of",
    "a",
    "model",
    "to",
    "what",
    "somebody",
    "asked",
    "it",
    "about",
    "weather",
    "trains",
    "and",
    "old",
    "books",
    "was",
    "that",
    "it",
    "does",
    "not",
    "know",
    "but",
    "would",
    "look",
    "for",
    "some",
    "way",
    "to",
    "find",
    "it",
    "out",
    "before",
    "they",
    "left",
    "again",
]
GERMAN = [
    "die",
    "schnelle",
    "Antwort",
    "eines",
    "Modells",
    "auf",
    "jene",
    "Frage",
    "nach",
    "Wetter",
    "Zügen",
    "und",
    "alten",
    "Büchern",
    "lautete",
    "dass",
    "es",
    "dies",
    "nicht",
    "weiß",
    "aber",
    "noch",
    "einen",
    "Weg",
    "suchen",
    "würde",
    "bevor",
    "sie",
    "wieder",
    "gingen",
]
SALT = 0x5DEECE66D1234567


def sketch(bodies: list[bytes], route: str = ROUTE) -> Sketch:
    counts = np.zeros(COUNTERS, np.int64)
    for body in bodies:
        raw = np.frombuffer(body, np.uint8).astype(np.uint64)
        grams = raw[:-2] << np.uint64(16) | raw[1:-1] << np.uint64(8) | raw[2:]
        mixed = (grams ^ np.uint64(SALT)) * np.uint64(0x9E3779B97F4A7C15)
        np.add.at(counts, mixed >> np.uint64(56), 1)
    return Sketch(route, len(bodies), counts)


def asked(rng: np.random.Generator, words: list[str], requests: int = 16) -> Sketch:
    texts = (" ".join(rng.choice(words, rng.integers(40, 90))) for _ in range(requests))
    return sketch([f'{{"prompt": "{text}"}}'.encode() for text in texts])


def learnt(rng: np.random.Generator, words: list[str], ordinary: int = CALIBRATION) -> InputModel:
    model = InputModel()
    for at in range(REFERENCE + ordinary):
        model.take([asked(rng, words)], 5.0, learning=at < REFERENCE, shadow=at >= REFERENCE)
    return model


def go_on(model: InputModel, *windows: Sketch) -> None:
    for one in windows:
        model.take([one], 5.0, learning=False, shadow=False)


def test_the_same_source_is_no_drift() -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        model = learnt(rng, ENGLISH)
        for _ in range(200):
            go_on(model, asked(rng, ENGLISH))
            assert not model.moved(1.0)


def test_ten_times_the_requests_in_a_stretch_are_no_drift_and_a_tenth_is_none() -> None:
    rng = np.random.default_rng(3)
    model = learnt(rng, ENGLISH)
    for requests in (160, 16) * 30:
        go_on(model, asked(rng, ENGLISH, requests))
        assert not model.moved(1.0)


@pytest.mark.parametrize("share", [1.0, 0.4])
def test_another_language_is_told_once_it_lasts(share: float) -> None:
    rng = np.random.default_rng(1)
    model = learnt(rng, ENGLISH)
    foreign = round(16 * share)
    for at in range(40):
        mine, other = asked(rng, ENGLISH, 16 - foreign), asked(rng, GERMAN, foreign)
        go_on(model, Sketch(ROUTE, 16, mine.counts + other.counts))
        if found := model.moved(1.0):
            break
        assert at < 20
    (one,) = found
    assert inputs.MIN_RUN <= one.stretches <= 20
    assert one.bits > one.usual_bits
    assert one.chance < 1e-4
    assert one.item == f"input-drift {ROUTE}"
    assert "is not known" in one.words


def test_one_odd_stretch_is_nothing() -> None:
    rng = np.random.default_rng(2)
    model = learnt(rng, ENGLISH)
    for _ in range(20):
        go_on(model, asked(rng, GERMAN), asked(rng, ENGLISH))
        assert not model.moved(1.0)


def test_a_drift_is_told_once_and_again_after_it_ended() -> None:
    rng = np.random.default_rng(4)
    model = learnt(rng, ENGLISH)
    told = []
    for words in (GERMAN, ENGLISH, GERMAN):
        count = 0
        for _ in range(40):
            go_on(model, asked(rng, words))
            found = model.moved(1.0)
            model.tell(found)
            count += len(found)
        told.append(count)
    assert told == [1, 0, 1]


def test_an_ordinary_stretch_that_was_odd_hides_no_drift() -> None:
    rng = np.random.default_rng(5)
    model = learnt(rng, ENGLISH, CALIBRATION - 1)
    model.take([asked(rng, GERMAN)], 5.0, learning=False, shadow=True)
    for _ in range(40):
        go_on(model, asked(rng, GERMAN))
    assert model.moved(1.0)


@pytest.mark.parametrize(("ordinary", "spared", "run"), [(5, 0, 2), (5, 1, 2), (4, 2, 3)])
def test_the_chance_is_that_of_all_orders(ordinary: int, spared: int, run: int) -> None:
    hits = total = 0
    for order in itertools.permutations(range(ordinary + run)):
        calibrated, latest = sorted(order[:ordinary]), order[ordinary:]
        hits += min(latest) > calibrated[-1 - spared]
        total += 1
    assert math.isclose(chance(ordinary, spared, run), Fraction(hits, total))


def test_false_alarms_are_as_seldom_as_promised() -> None:
    """Any continuous distribution of distances, here an exponential one; runs of three."""
    rng = np.random.default_rng(6)
    spared = CALIBRATION // inputs.SPARED
    promised = chance(CALIBRATION, spared, 3)
    draws = 60_000
    scores = np.sort(rng.exponential(size=(draws, CALIBRATION)), axis=1)
    latest = rng.exponential(size=(draws, 3)).min(axis=1)
    realised = float((latest > scores[:, -1 - spared]).mean())
    assert abs(realised - promised) < 4 * math.sqrt(promised / draws)


def test_a_route_that_is_not_ready_says_nothing_and_learns() -> None:
    rng = np.random.default_rng(7)
    model = InputModel()
    for at in range(REFERENCE + CALIBRATION):
        assert model.routes.get(ROUTE, RouteInputs()).ready is False
        assert not model.moved(1.0)
        go_on(model, asked(rng, GERMAN if at < 3 else ENGLISH))
    assert model.routes[ROUTE].ready


def test_few_requests_are_no_stretch() -> None:
    model = InputModel()
    long = b"0123456789abcdef" * 100
    model.take([sketch([long] * 3)], 1.0, learning=True, shadow=False)
    assert model.routes[ROUTE].learnt == 0
    model.take([sketch([long] * 13)], 1.0, learning=True, shadow=False)
    assert model.routes[ROUTE].learnt == 1


def test_routes_are_bounded_and_what_is_refused_is_counted() -> None:
    model = InputModel()
    one = sketch([b"some body"])
    many = [Sketch(f"POST /{at}", 1, one.counts) for at in range(inputs.MAX_ROUTES + 5)]
    model.take(many, 1.0, learning=True, shadow=False)
    assert (len(model.routes), model.refused) == (inputs.MAX_ROUTES, 5)


def test_what_is_kept_comes_back_as_it_went() -> None:
    model = learnt(np.random.default_rng(8), ENGLISH)
    head, arrays = inputs.plain(model)
    again = inputs.restored(head, arrays)
    other_head, other_arrays = inputs.plain(again)
    assert head == other_head
    assert arrays.keys() == other_arrays.keys()
    assert all((arrays[name] == other_arrays[name]).all() for name in arrays)
    assert again.routes[ROUTE].limits() == model.routes[ROUTE].limits()


counted = st.lists(st.integers(0, 10**6), min_size=COUNTERS, max_size=COUNTERS).filter(any)


@settings(max_examples=25, deadline=None)
@given(counted, counted, st.integers(1, 1000))
def test_the_divergence_is_one_whatever_the_order_and_size(
    one: list[int], other: list[int], times: int
) -> None:
    left, right = np.array(one), np.array(other)
    bits = divergence(left, right)
    assert 0 <= bits <= 1
    assert math.isclose(bits, divergence(right, left), abs_tol=1e-12)
    assert math.isclose(bits, divergence(left * times, right), abs_tol=1e-9)
    assert divergence(left, left) < 1e-12


@pytest.mark.parametrize(
    "bad", [np.zeros(COUNTERS), np.full(COUNTERS, -1.0), np.full(COUNTERS, np.nan)]
)
def test_impossible_counts_are_refused(bad: NDArray[np.float64]) -> None:
    with pytest.raises(FeatureError):
        divergence(bad, np.ones(COUNTERS))


def test_a_length_that_is_none_is_refused_and_changes_nothing() -> None:
    model = InputModel()
    with pytest.raises(FeatureError):
        model.take([sketch([b"some body"])], 0.0, learning=True, shadow=False)
    assert not model.routes


def drift(time_ns: int = 0) -> Item:
    return Item(ItemKind.ENDPOINT, f"input-drift {ROUTE}", "main", time_ns, 0, other="far away")


def test_a_drift_is_medium_and_in_plain_words() -> None:
    found = assess(drift(), Repertoire())
    assert found is not None
    assert (found.level, found.sensitive) == (Level.MEDIUM, False)
    assert "far away" in found.reason


def test_a_drift_completes_no_intrusion() -> None:
    judge = guarding_judge()
    peer = item("peer", "tcp 203.0.113.9:443", at_s=60.0)
    judge.assess_items([drift(round(60e9))])
    alone, other = judge.assess_items([peer]), item("listen", "tcp 127.0.0.1:9999", at_s=61.0)
    assert alone is not None
    assert alone.level is Level.HIGH
    both = judge.assess_items([other])
    assert both is not None
    assert both.level is Level.CRITICAL  # what another kind of thing does


def test_an_approved_drift_is_told_no_more() -> None:
    known = Repertoire()
    known.believe(drift())
    assert assess(drift(), known) is None
