import math

import pytest

from tests.bench.figures import (
    AT_LEAST,
    AT_MOST,
    Alternation,
    Figure,
    Goal,
    effect,
    floor,
    quantile,
    spread,
    table,
    unmeasured,
)


@pytest.mark.parametrize(
    ("goal", "value", "missed"),
    [
        (Goal(AT_LEAST, 0.98), 0.98, False),
        (Goal(AT_LEAST, 0.98), 0.97, True),
        (Goal(AT_MOST, 150), 150, False),
        (Goal(AT_MOST, 150), 151, True),
        (None, 1e9, False),
    ],
)
def test_a_goal_is_missed_on_the_wrong_side_of_its_bound(
    goal: Goal | None, value: float, *, missed: bool
) -> None:
    assert Figure("speed", value, goal=goal).missed is missed


def test_what_was_not_measured_misses_its_goal_and_says_why() -> None:
    figure = unmeasured("status", "the agent does not run", Goal(AT_MOST, 300))
    assert figure.missed
    assert figure.as_json()["value"] is None
    assert "not measured" in table([figure])
    assert "the agent does not run" in table([figure])


def test_the_table_marks_only_misses() -> None:
    text = table(
        [
            Figure("slow", 2.0, "ms", Goal(AT_MOST, 1.0)),
            Figure("fast", 0.5, "ms", Goal(AT_MOST, 1.0)),
        ]
    )
    assert [line.split()[0] for line in text.splitlines() if "MISSED" in line] == ["slow"]


def test_effect_compares_with_both_neighbours_so_that_a_drift_cancels() -> None:
    drifting = [Alternation(100 - at, 98.5 - at, 97 - at) for at in range(0, 30, 3)]
    assert effect(drifting) == pytest.approx(1.0)


def test_effect_is_a_median_that_one_disturbed_pair_does_not_move() -> None:
    pairs = [Alternation(100, 95, 100)] * 4 + [Alternation(100, 10, 100)]
    assert effect(pairs) == pytest.approx(0.95)
    assert spread(pairs) == pytest.approx((0.1, 0.95))


def test_floor_compares_off_with_off() -> None:
    assert floor([Alternation(100, 50, 99)] * 3) == pytest.approx(0.99)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.95, 95), (1.0, 100)])
def test_a_quantile_is_a_value_that_was_measured(share: float, expected: float) -> None:
    assert quantile(list(range(1, 101)), share) == expected


def test_the_quantile_of_nothing_is_unknown() -> None:
    assert math.isnan(quantile([], 0.95))
