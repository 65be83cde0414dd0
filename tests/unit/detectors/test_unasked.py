"""Work without requests is told once it lasts; work that requests explain never is."""

from dataclasses import replace

import numpy as np
import pytest

from detectors import features, unasked
from detectors.assessment import Level
from detectors.baseline import Baseline
from detectors.judge import Judge
from detectors.window import Phase
from tests.unit.detectors.factory import SETTINGS, USUAL, guarding_judge, window


def rows(*readings: tuple[float, float]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """From (bytes in, processor percent)."""
    return np.array([features.vector({"bytes_in": d, "cpu_percent": w}) for d, w in readings])


def asked(at: int, demand: float, percent: float, **more: float) -> float | None:
    """Served and computed, after a learning phase of 1 % per 10,000 bytes and 2 % idle."""
    learnt = rows(*[(1e4 * n, 1.0 * n) for n in range(10, 40)], *[(0.0, 2.0)] * 5)
    reading = {"bytes_in": demand, "cpu_percent": percent} | more
    return unasked.fit(learnt).score(features.vector(reading))


def test_the_same_cost_per_request_is_explained_at_ten_times_the_load() -> None:
    assert asked(1, 4e6, 400.0) == 0.0


def test_what_goes_beyond_the_cost_of_requests_is_not() -> None:
    assert asked(1, 0.0, 97.0) == pytest.approx(95.0 / 25)
    assert asked(1, 1e5, 47.0) == pytest.approx(25.0 / 50)


def test_a_miner_that_a_busy_host_starves_is_told_by_how_many_times_too_much_it_is() -> None:
    assert asked(1, 5e4, 48.0) == pytest.approx(36.0 / 25)  # 12 explained
    assert asked(1, 2e5, 78.0) == pytest.approx(36.0 / 50)  # 42 explained: less than twice


def test_a_long_request_explains_what_requests_cost_by_the_second() -> None:
    served = {"bytes_in": 1e5, "cpu_percent": 60.0, "requests": 20.0, "answer_wait_p50": 25.0}
    learnt = np.array([features.vector(served)] * 20 + [features.vector({"bytes_in": 0.0})] * 5)
    model = unasked.fit(learnt)

    def score(percent: float, under_way: float) -> float | None:
        reading = {"bytes_in": 0.0, "cpu_percent": percent, "requests_under_way": under_way}
        return model.score(features.vector(reading))

    assert score(120.0, 1.0) == 0.0  # 60 % with one under way in half of the time
    assert score(240.0, 2.0) == 0.0
    assert score(120.0, 0.0) == pytest.approx(120.0 / 50)
    assert score(220.0, 1.0) == pytest.approx(100.0 / 50)
    older = unasked.padded(model.idle, model.cost)
    reading = {"bytes_in": 0.0, "cpu_percent": 200.0, "requests_under_way": 1.0}
    assert older.score(features.vector(reading)) == pytest.approx(200.0 / 50)


def test_what_a_request_under_way_costs_is_not_what_an_idle_server_does() -> None:
    busy = {"bytes_in": 1e5, "cpu_percent": 60.0}
    silent = {"bytes_in": 0.0, "cpu_percent": 100.0, "requests_under_way": 1.0}
    learnt = np.array([features.vector(one) for one in [busy, silent] * 10])
    assert unasked.fit(learnt).score(rows((0.0, 100.0))[0]) == pytest.approx(100.0 / 50)


def test_a_server_that_computes_long_after_a_request_is_not_measured_by_it() -> None:
    learnt = rows(*[(1e5, 90.0), (0.0, 99.0)] * 10)
    assert unasked.fit(learnt).score(rows((0.0, 99.0))[0]) == 0.0


def test_a_job_without_traffic_is_not_measured_at_all() -> None:
    assert unasked.fit(rows(*[(0.0, 50.0)] * 20)).score(rows((0.0, 400.0))[0]) is None


def test_it_is_told_when_it_lasts_and_grave_when_it_goes_on() -> None:
    judge = guarding_judge()
    levels = [judge.observe(window(at, load=0.0, cpu_percent=99.0)).level for at in range(100, 140)]
    assert max(levels[:4]) < Level.MEDIUM
    assert levels[6] is Level.MEDIUM
    assert levels[35] is Level.HIGH


def test_its_verdict_says_so_in_words() -> None:
    judge = guarding_judge()
    for at in range(100, 107):
        found = judge.observe(window(at, load=0.0, cpu_percent=99.0))
    assert "worked without being asked" in found.summary
    assert "T1496.001" in found.techniques


@pytest.mark.parametrize(
    "excuse",
    [{"phase": Phase.RELOAD}, {"phase": Phase.STARTUP}, {"read_bytes": 1e9}],
    ids=["reload", "start-up", "loading"],
)
def test_an_excuse_ends_it(excuse: dict[str, float]) -> None:
    judge = guarding_judge()
    for at in range(100, 160):
        found = judge.observe(window(at, load=0.0, cpu_percent=99.0, **excuse))  # type: ignore[arg-type]
    assert not found.novel
    assert not judge.unexplained.since_ns


def test_load_that_comes_back_ends_it() -> None:
    judge = guarding_judge()
    for at in range(100, 160):
        idle = at % 4 != 0
        found = judge.observe(window(at, load=0.0 if idle else 5.0, cpu_percent=99.0))
        assert not found.novel


def test_what_was_approved_is_told_no_more() -> None:
    judge = guarding_judge()
    for at in range(100, 110):
        found = judge.observe(window(at, load=0.0, cpu_percent=99.0))
    judge.baseline.approve(found.novel)
    assert not judge.observe(window(110, load=0.0, cpu_percent=99.0)).novel


def test_what_was_learnt_outlives_a_restart() -> None:
    judge = guarding_judge()
    restored = Judge(SETTINGS, Baseline.from_bytes(judge.baseline.to_bytes()))
    for at in range(100, 110):
        found = restored.observe(window(at, load=0.0, cpu_percent=99.0))
    assert found.level is Level.MEDIUM


def test_it_is_not_measured_while_learning() -> None:
    judge = Judge(SETTINGS, Baseline("embedder"))
    judge.observe(window(0, *USUAL))
    for at in range(1, 20):
        assert not judge.observe(window(at, load=0.0, cpu_percent=99.0)).novel


def test_loss_in_between_hides_no_work() -> None:
    judge = guarding_judge()
    found = [
        judge.observe(window(at, load=0.0, cpu_percent=99.0, lost=at % 2)) for at in range(100, 140)
    ]
    assert max(one.level for one in found) is Level.HIGH
    lossy = guarding_judge()
    told = [lossy.observe(window(at, load=0.0, cpu_percent=99.0, lost=3)) for at in range(100, 140)]
    assert not any(one.novel for one in told)


def test_a_late_short_window_is_no_break_and_a_whole_one_is() -> None:
    def told(pause_s: float) -> bool:
        judge = guarding_judge()
        found, at_s = [], 100.0
        for turn in range(12):
            length_s, percent = (pause_s, 5.0) if turn == 3 else (1.0, 99.0)
            one = window(100 + turn, load=0.0, cpu_percent=percent)
            found.append(judge.observe(replace(one, start_ns=round(at_s * 1e9), length_s=length_s)))
            at_s += length_s
        return any(one.novel for one in found[:7])

    assert told(0.3)
    assert not told(1.0)
