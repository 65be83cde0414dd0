"""The battery every detector passes by inheriting it.

A detector learns ordinary samples, then scores: larger is more unusual. Scoring changes nothing,
"not ready" is None, memory is bounded, bytes come back as they went, the same input gives the
same result, and impossible input is refused with the detector's own error.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors import features, framing, resources, traffic, unasked, words
from detectors.conformal import MIN_SCORES, Calibration
from detectors.errors import CalibrationError, DetectorError, FeatureError, SequenceError
from detectors.features import FEATURES
from detectors.inputs import COUNTERS, MOST_SCORES, REFERENCE, RouteInputs
from detectors.neighbours import Neighbours
from detectors.ngram import MAX_WORDS, NgramModel
from detectors.prior import MAX_WORDS as MAX_PRIOR_WORDS
from detectors.prior import AttackPrior
from detectors.stide import Stide
from detectors.traffic import MAX_ROUTES, MIN_WINDOWS, TrafficModel
from detectors.window import Route, Traffic

D = TypeVar("D")
S = TypeVar("S")
Floats = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]

USUAL = [0, 1, 3, 5, 9, 3, 0, 1, 44, 45]
ODD = [59, 41, 42, 33, 33, 59, 56, 61, 101, 165]


def trace(seed: int, calls: list[int], length: int = 300) -> words.Words:
    rng = np.random.default_rng(seed)
    starts = rng.integers(len(calls), size=length // 5)
    numbers = [calls[(start + step) % len(calls)] for start in starts for step in range(5)]
    return words.from_numbers(numbers)


class DetectorContract(ABC, Generic[D, S]):
    """Subclasses say how to make, teach, ask and write down one detector."""

    error: type[DetectorError]

    @abstractmethod
    def fresh(self) -> D: ...

    @abstractmethod
    def taught(self, samples: int = 40) -> D: ...

    @abstractmethod
    def score(self, detector: D, sample: S) -> float | None: ...

    @abstractmethod
    def usual(self, seed: int) -> S: ...

    @abstractmethod
    def odd(self, seed: int) -> S: ...

    @abstractmethod
    def bad(self) -> list[S]: ...

    @abstractmethod
    def arrays(self, detector: D) -> Arrays: ...

    @abstractmethod
    def restored(self, arrays: Arrays) -> D: ...

    def to_bytes(self, detector: D) -> bytes:
        return framing.pack({}, self.arrays(detector))

    def test_not_ready_is_none(self) -> None:
        assert self.score(self.fresh(), self.usual(1)) is None

    def test_scoring_changes_nothing(self) -> None:
        detector = self.taught()
        before = self.to_bytes(detector)
        for seed in range(5):
            self.score(detector, self.usual(seed))
            self.score(detector, self.odd(seed))
        assert self.to_bytes(detector) == before

    def test_odd_scores_above_usual(self) -> None:
        detector = self.taught()
        usual = [self.score(detector, self.usual(seed)) for seed in range(100, 110)]
        odd = [self.score(detector, self.odd(seed)) for seed in range(10)]
        assert all(score is not None and np.isfinite(score) and score >= 0 for score in usual + odd)
        assert np.median([float(one or 0) for one in odd]) > np.median(
            [float(one or 0) for one in usual]
        )

    def test_same_input_gives_the_same_detector(self) -> None:
        assert self.to_bytes(self.taught()) == self.to_bytes(self.taught())

    def test_bytes_come_back_as_they_went(self) -> None:
        detector = self.taught()
        data = self.to_bytes(detector)
        again = self.restored(framing.unpack(data)[1])
        assert self.to_bytes(again) == data
        assert self.score(again, self.odd(1)) == self.score(detector, self.odd(1))

    def test_bytes_stay_within_two_megabytes(self) -> None:
        assert len(self.to_bytes(self.taught(400))) < 2 << 20

    def test_impossible_input_is_refused(self) -> None:
        detector = self.taught()
        for sample in self.bad():
            with pytest.raises(self.error):
                self.score(detector, sample)


class SequenceContract(DetectorContract[D, words.Words]):
    error = SequenceError

    def usual(self, seed: int) -> words.Words:
        return trace(seed, USUAL)

    def odd(self, seed: int) -> words.Words:
        return trace(seed, ODD)

    def bad(self) -> list[words.Words]:
        not_words = np.array([np.nan]).astype(object)
        return [np.zeros(3, np.uint64), np.ones((2, 2), np.uint64), not_words]


class TestNgramModel(SequenceContract[NgramModel]):
    def fresh(self) -> NgramModel:
        return NgramModel()

    def taught(self, samples: int = 40) -> NgramModel:
        model = NgramModel()
        for seed in range(samples):
            model.learn(*words.count(self.usual(seed)))
        return model

    def score(self, detector: NgramModel, sample: words.Words) -> float | None:
        return detector.score(sample, np.ones(sample.shape, np.uint64))

    def arrays(self, detector: NgramModel) -> Arrays:
        return {"words": detector.words, "counts": detector.counts}

    def restored(self, arrays: Arrays) -> NgramModel:
        return NgramModel(arrays["words"], arrays["counts"])

    def test_memory_is_bounded(self) -> None:
        model = NgramModel()
        rng = np.random.default_rng(0)
        for _ in range(4):
            many = np.unique(rng.integers(1, 1 << 62, 30_000, dtype=np.uint64) | np.uint64(1))
            model.learn(many, np.ones(len(many), np.uint64))
        assert len(model.words) == MAX_WORDS


class TestAttackPrior(SequenceContract[AttackPrior]):
    """Learns what attacks do: `odd` is what it knows, `usual` what it explains worse."""

    def fresh(self) -> AttackPrior:
        return AttackPrior()

    def taught(self, samples: int = 40) -> AttackPrior:
        prior = AttackPrior()
        prior.learn(self.odd(seed) for seed in range(samples))
        return prior

    def score(self, detector: AttackPrior, sample: words.Words) -> float | None:
        return detector.score(np.unique(sample), np.full(len(np.unique(sample)), 9.0))

    def bad(self) -> list[words.Words]:
        return [np.zeros(3, np.uint64), np.array([1.5])]

    def arrays(self, detector: AttackPrior) -> Arrays:
        return framing.unpack(detector.to_bytes())[1]

    def restored(self, arrays: Arrays) -> AttackPrior:
        head = framing.unpack(self.taught().to_bytes())[0]
        return AttackPrior.from_bytes(framing.pack(head, arrays))

    def test_memory_is_bounded(self) -> None:
        prior, rng = AttackPrior(), np.random.default_rng(0)
        for _ in range(2):
            many = rng.integers(1, 1 << 62, 30_000, dtype=np.uint64) | np.uint64(1)
            prior.learn([many])
        assert len(prior.model.words) == MAX_PRIOR_WORDS

    def test_surprisals_of_another_shape_are_refused(self) -> None:
        with pytest.raises(SequenceError, match="surprisals"):
            self.taught().score(self.odd(1), np.zeros(2))


class TestStide(SequenceContract[Stide]):
    def fresh(self) -> Stide:
        return Stide()

    def taught(self, samples: int = 40) -> Stide:
        detector = Stide()
        for seed in range(samples):
            detector.learn(self.usual(seed))
        return detector

    def score(self, detector: Stide, sample: words.Words) -> float | None:
        return detector.score(sample)

    def arrays(self, detector: Stide) -> Arrays:
        return {"known": detector.known}

    def restored(self, arrays: Arrays) -> Stide:
        return Stide(arrays["known"])


class TestNeighbours(SequenceContract[Neighbours]):
    def fresh(self) -> Neighbours:
        return Neighbours()

    def taught(self, samples: int = 40) -> Neighbours:
        detector = Neighbours()
        detector.fit([self.usual(seed) for seed in range(samples)])
        return detector

    def score(self, detector: Neighbours, sample: words.Words) -> float | None:
        return detector.score(sample)

    def arrays(self, detector: Neighbours) -> Arrays:
        return {"pairs": detector.pairs, "kept": detector.kept}

    def restored(self, arrays: Arrays) -> Neighbours:
        return Neighbours(arrays["pairs"], arrays["kept"])


class TestResourceModel(DetectorContract[resources.ResourceModel | None, Floats]):
    error = FeatureError

    def row(self, seed: int, **readings: float) -> Floats:
        rng = np.random.default_rng(seed)
        usual = {"syscalls": 1e3, "opens": 20.0, "bytes_out": 2e5, "rss_bytes": 2e8, "execs": 0.0}
        jitter = rng.normal(1.0, 0.05, len(usual))
        noisy = {name: value * by for (name, value), by in zip(usual.items(), jitter, strict=True)}
        return features.vector(noisy | readings)

    def fresh(self) -> None:
        return None

    def taught(self, samples: int = 40) -> resources.ResourceModel:
        return resources.fit(np.array([self.row(seed) for seed in range(samples)]))

    def score(self, detector: resources.ResourceModel | None, sample: Floats) -> float | None:
        return None if detector is None else detector.score(sample)

    def usual(self, seed: int) -> Floats:
        return self.row(seed)

    def odd(self, seed: int) -> Floats:
        return self.row(seed, execs=50.0, opens=9_000.0)

    def bad(self) -> list[Floats]:
        return [np.zeros(3), np.full(len(FEATURES), np.inf), np.zeros((2, len(FEATURES)))]

    def arrays(self, detector: resources.ResourceModel | None) -> Arrays:
        return {name: getattr(detector, name) for name in resources.ResourceModel.__slots__}

    def restored(self, arrays: Arrays) -> resources.ResourceModel:
        return resources.ResourceModel(**arrays)


class TestUnaskedWork(DetectorContract[unasked.UnaskedWork, Floats]):
    error = FeatureError

    def row(self, seed: int, demand: float, percent: float) -> Floats:
        jitter = np.random.default_rng(seed).normal(1.0, 0.05)
        return features.vector({"bytes_in": demand * jitter, "cpu_percent": percent * jitter})

    def fresh(self) -> unasked.UnaskedWork:
        return unasked.fit(np.zeros((0, len(FEATURES))))

    def taught(self, samples: int = 40) -> unasked.UnaskedWork:
        idle = [self.row(seed, 0.0, 2.0) for seed in range(samples // 4)]
        return unasked.fit(np.array([*idle, *(self.usual(seed) for seed in range(samples))]))

    def score(self, detector: unasked.UnaskedWork, sample: Floats) -> float | None:
        return detector.score(sample)

    def usual(self, seed: int) -> Floats:
        return self.row(seed, 1e5, 30.0)

    def odd(self, seed: int) -> Floats:
        return self.row(seed, 0.0, 98.0)

    def bad(self) -> list[Floats]:
        return [np.zeros(3), np.full(len(FEATURES), np.inf), np.zeros((2, len(FEATURES)))]

    def arrays(self, detector: unasked.UnaskedWork) -> Arrays:
        return {"idle": detector.idle, "cost": detector.cost, "busy": detector.busy}

    def restored(self, arrays: Arrays) -> unasked.UnaskedWork:
        return unasked.UnaskedWork(**arrays)


class TestTrafficModel(DetectorContract[TrafficModel, Traffic]):
    error = FeatureError

    def span(self, seed: int, times: float = 1.0, inputs: int = 8) -> Traffic:
        asked = round(float(np.random.default_rng(seed).normal(200, 10)) * times)
        route = Route(
            "POST /predict", asked, asked, asked, asked // 100, 0, asked * 400, asked * 90
        )
        return Traffic(10.0, (route,), "10.0.0.1", asked, inputs)

    def fresh(self) -> TrafficModel:
        return TrafficModel()

    def taught(self, samples: int = 40) -> TrafficModel:
        model = TrafficModel()
        for seed in range(max(samples, MIN_WINDOWS)):
            model.learn(self.usual(seed))
        return model

    def score(self, detector: TrafficModel, sample: Traffic) -> float | None:
        return detector.score(sample)

    def usual(self, seed: int) -> Traffic:
        return self.span(seed)

    def odd(self, seed: int) -> Traffic:
        return self.span(seed, 30.0, 400)

    def bad(self) -> list[Traffic]:
        return [Traffic(0.0), Traffic(float("inf")), Traffic(float("nan"))]

    def arrays(self, detector: TrafficModel) -> Arrays:
        plain = traffic.plain(detector)
        return {
            "windows": np.array([plain["windows"]]),
            **{f"highs/{name}": np.array([high]) for name, high in plain["highs"].items()},
        }

    def restored(self, arrays: Arrays) -> TrafficModel:
        highs = {n.removeprefix("highs/"): a[0] for n, a in arrays.items() if "/" in n}
        return traffic.restored({"windows": arrays["windows"][0], "highs": highs})

    def test_memory_is_bounded(self) -> None:
        model = TrafficModel()
        for at in range(4 * MAX_ROUTES):
            model.learn(Traffic(10.0, (Route(f"GET /{at}", 9, 9, 9),)))
        assert len(model.highs) <= 2 * MAX_ROUTES + 4


class TestRouteInputs(DetectorContract[RouteInputs, NDArray[np.int64]]):
    error = FeatureError

    def drawn(self, seed: int, first: int) -> NDArray[np.int64]:
        counters = np.random.default_rng(seed).integers(first, first + 200, 5000)
        return np.bincount(counters, minlength=COUNTERS).astype(np.int64)

    def fresh(self) -> RouteInputs:
        return RouteInputs()

    def taught(self, samples: int = 40) -> RouteInputs:
        inputs = RouteInputs()
        for seed in range(max(samples, REFERENCE)):
            inputs.counts, inputs.requests = self.usual(seed), 16
            inputs.close(learning=True, shadow=False)
        return inputs

    def score(self, detector: RouteInputs, sample: NDArray[np.int64]) -> float | None:
        return detector.score(sample)

    def usual(self, seed: int) -> NDArray[np.int64]:
        return self.drawn(seed, 0)

    def odd(self, seed: int) -> NDArray[np.int64]:
        return self.drawn(seed, 50)

    def bad(self) -> list[NDArray[np.int64]]:
        return [np.zeros(COUNTERS, np.int64), np.full(COUNTERS, -1)]

    def arrays(self, detector: RouteInputs) -> Arrays:
        scores = np.array(detector.scores, np.float64).reshape(-1, 2)
        return {"usual": detector.usual, "scores": scores, "learnt": np.array([detector.learnt])}

    def restored(self, arrays: Arrays) -> RouteInputs:
        scores = [(float(bits), float(scaled)) for bits, scaled in arrays["scores"]]
        return RouteInputs(arrays["usual"], int(arrays["learnt"][0]), scores)

    def test_memory_is_bounded(self) -> None:
        inputs = self.taught()
        for seed in range(2 * MOST_SCORES):
            inputs.counts, inputs.requests = self.usual(seed % 7), 16
            inputs.close(learning=False, shadow=True)
        assert len(inputs.scores) == MOST_SCORES


class TestCalibration(DetectorContract[Calibration, float]):
    error = CalibrationError

    def fresh(self) -> Calibration:
        return Calibration.of([])

    def taught(self, samples: int = 40) -> Calibration:
        return Calibration.of(self.usual(seed) for seed in range(max(samples, MIN_SCORES)))

    def score(self, detector: Calibration, sample: float) -> float | None:
        p_value = detector.p_value(sample)
        return None if p_value is None else 1.0 - p_value

    def usual(self, seed: int) -> float:
        return float(np.random.default_rng(seed).normal())

    def odd(self, seed: int) -> float:
        return self.usual(seed) + 50.0

    def bad(self) -> list[float]:
        return [float("nan")]

    def arrays(self, detector: Calibration) -> Arrays:
        return {"scores": detector.scores}

    def restored(self, arrays: Arrays) -> Calibration:
        return Calibration(arrays["scores"])
