"""A management call is as grave as its answer: one that was turned away changed nothing."""

from dataclasses import replace

import pytest

from agent.recording.facts import pack_judge, restore_memory
from detectors.assessment import Level
from detectors.baseline import Baseline
from detectors.judge import Judge
from detectors.window import Route, Traffic
from tests.unit.detectors.factory import SETTINGS, guarding_judge, item, window

CALL = "POST /v2/repository/models/x/load"
SERVED = item("endpoint", "POST /predict")


def judge_of_requests() -> Judge:
    return guarding_judge(SERVED)


def asked(judge: Judge, at: int, *routes: Route, call: bool = True) -> Level:
    """The level of one window in which the call came, or did not, and these answers were sent."""
    items = (item("endpoint", CALL, at_s=at + 0.5),) if call else ()
    assert judge.assess_items(items) is None
    made = window(at, *items)
    return judge.observe(replace(made, traffic=Traffic(1.0, routes) if routes else None)).level


def test_one_that_was_served_is_high() -> None:
    assert asked(judge_of_requests(), 100, Route(CALL, 1, 1, 1)) is Level.HIGH


def test_one_that_failed_inside_the_server_is_high() -> None:
    assert asked(judge_of_requests(), 100, Route(CALL, 1, 1, 1, errors=1)) is Level.HIGH
    assert asked(judge_of_requests(), 100, Route(CALL, 1, 1, 1, refusals=1)) is Level.HIGH


def test_one_that_was_turned_away_is_low_and_says_so() -> None:
    judge = judge_of_requests()
    away = Route(CALL, 1, 1, 1, refusals=1, denied=1)
    made = window(100, item("endpoint", CALL, at_s=100.5))
    found = judge.observe(replace(made, traffic=Traffic(1.0, (away,))))
    assert found.level is Level.LOW
    assert "turned it away" in found.novel[0].reason
    assert not found.novel[0].sensitive


def test_one_of_two_that_was_served_is_high() -> None:
    mixed = Route(CALL, 2, 2, 2, refusals=1, denied=1)
    assert asked(judge_of_requests(), 100, mixed) is Level.HIGH


def test_an_answer_in_the_next_window_counts() -> None:
    judge = judge_of_requests()
    assert asked(judge, 100, Route(CALL, 1)) < Level.LOW
    away = Route(CALL, 0, 1, 1, refusals=1, denied=1)
    assert asked(judge, 101, away, call=False) is Level.LOW


def test_one_without_an_answer_is_high_after_two_seconds() -> None:
    judge = judge_of_requests()
    levels = [asked(judge, at, call=at == 100) for at in range(100, 104)]
    assert levels[2] is Level.HIGH
    assert max(levels[:2]) < Level.LOW
    assert levels[3] < Level.LOW


def test_what_waits_survives_a_recording() -> None:
    judge = judge_of_requests()
    asked(judge, 100)
    again = Judge(SETTINGS, Baseline.from_bytes(judge.baseline.to_bytes()))
    restore_memory(again, pack_judge(judge))
    assert again.unanswered.waiting == judge.unanswered.waiting
    assert len(again.unanswered.waiting) == 1


@pytest.mark.parametrize("route", [None, Route(CALL, 1, 1, 1)])
def test_what_was_learned_is_nothing(route: Route | None) -> None:
    judge = guarding_judge(SERVED, item("endpoint", CALL))
    assert asked(judge, 100, *([route] if route else [])) < Level.LOW
