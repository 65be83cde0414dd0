import itertools
import math
import random

import pytest

from tests.servers.load import SHAPES, Stretch, Tally, arrivals, idle, peak, steady, summary


def times(shape: tuple[Stretch, ...], workers: int = 1) -> list[float]:
    return list(arrivals(shape, workers, random.Random(3)))


def test_arrivals_keep_the_rate_asked_for() -> None:
    assert len(times(steady(50, 40))) == pytest.approx(2000, rel=0.1)


def test_workers_share_the_rate() -> None:
    assert len(times(steady(50, 40), workers=4)) == pytest.approx(500, rel=0.15)


def test_arrivals_are_in_order_and_inside_the_shape() -> None:
    seen = times(peak(20, 30))
    assert seen == sorted(seen)
    assert seen[0] > 0
    assert seen[-1] < 30


def test_a_peak_is_ten_times_the_rate_in_its_middle_third() -> None:
    middle = [at for at in times(peak(20, 30)) if 10 <= at < 20]
    assert len(middle) == pytest.approx(2000, rel=0.1)


def test_idle_hardly_asks() -> None:
    assert len(times(idle(50, 20))) == pytest.approx(20, abs=12)


def test_unpaced_asks_without_end() -> None:
    assert list(itertools.islice(arrivals(steady(0, 1), 1, random.Random(3)), 3)) == [0.0] * 3


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_every_shape_lasts_as_long_as_asked(name: str) -> None:
    assert sum(stretch.seconds for stretch in SHAPES[name](10, 9)) == pytest.approx(9)


def test_summary_counts_unanswered_requests_and_takes_latency_of_answered_ones() -> None:
    report = summary([Tally(1, 0, [0.001, 0.002]), Tally(0, 1, [0.004])], 2.0)
    assert (report.requests, report.errors, report.wrong) == (4, 1, 1)
    assert report.requests_per_s == pytest.approx(1.5)
    assert report.p50_ms == pytest.approx(2.0)
    assert report.p99_ms == pytest.approx(4.0)


def test_latency_without_an_answer_is_unknown_not_zero() -> None:
    report = summary([Tally(errors=3)], 1.0)
    assert math.isnan(report.p50_ms)
    assert not report.sane


@pytest.mark.parametrize(("errors", "wrong", "sane"), [(0, 1, True), (0, 2, False), (1, 0, False)])
def test_sane_means_answered_and_right(errors: int, wrong: int, *, sane: bool) -> None:
    assert summary([Tally(errors, wrong, [0.001] * (10 - errors))], 1.0).sane is sane
