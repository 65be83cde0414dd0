"""What the benchmark computes from what it measured."""

import math
from collections import Counter

import pytest

from tests.bench.calls import Times, ratios
from tests.bench.figures import AT_MOST, Figure, Goal, report
from tests.bench.usage import slope
from tests.bench.weather import FILES, FORKS, Report, unaccounted


def told(files: int, exits: int, lost: int = 0, unexplained: int = 0, crowded: int = 0) -> Report:
    """What the status says."""
    losses = Counter({"kernel.ring_full": lost, "ring.unexplained": unexplained})
    events, crowds = Counter({"file": files, "exit": exits}), Counter({"file": crowded})
    return Report("healthy", [], events, losses, 0, crowds)


def test_a_deed_is_accounted_for_by_its_record_or_by_a_counted_loss() -> None:
    made = {FILES: 100, FORKS: 10}
    assert unaccounted(made, told(5, 1), told(100, 11, lost=5)) == 0
    assert unaccounted(made, told(5, 1), told(100, 11)) == 5
    assert unaccounted(made, told(5, 1), told(100, 11, crowded=5)) == 0


def test_what_no_counter_explains_is_not_accounted_for() -> None:
    made = {FILES: 100, FORKS: 0}
    assert unaccounted(made, told(0, 0), told(100, 0, unexplained=3)) == 3


def test_a_line_has_its_slope_and_no_margin() -> None:
    found = slope([0, 1, 2, 3], [5, 7, 9, 11])
    assert found.per_s == pytest.approx(2)
    assert found.margin == pytest.approx(0)
    assert not found.flat


def test_noise_around_a_level_is_flat() -> None:
    assert slope(range(8), [3, 5, 4, 4, 5, 3, 4, 4]).flat


def test_two_readings_say_nothing_of_a_slope() -> None:
    assert math.isnan(slope([0, 1], [1, 2]).per_s)


def test_a_speed_is_held_against_the_empty_programs() -> None:
    figures = {f.name: f for f in ratios("loop", [Times(400, 500, 520, 625, 400)], "")}
    assert figures["loop, speed watched"].value == pytest.approx(0.64)
    assert figures["loop, speed watched / empty program"].value == pytest.approx(0.8)
    assert figures["loop, speed watched / empty program"].missed
    assert not figures["loop, speed unwatched / empty program"].missed


def test_without_the_empty_program_the_reason_stands_in_its_place() -> None:
    found = list(ratios("loop", [Times(400, math.nan, 520, 625, 400)], "no clang"))
    assert [f.note for f in found if math.isnan(f.value)] == ["no clang"] * 3


def test_the_page_for_the_readme_is_a_table_in_markdown() -> None:
    figures = [Figure("CPU", 2.5, "%", Goal(AT_MOST, 1.0), "of one core")]
    page = report(figures, markdown=True)
    assert "| CPU | 2.5 % | ≤ 1 % | **missed**  of one core |" in page
    assert "1 goals missed: CPU" in page
