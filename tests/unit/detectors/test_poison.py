"""Who is there while it is learnt: learning ends, and what was seen once is not believed."""

from __future__ import annotations

import pytest

from detectors import novelty
from detectors.assessment import BaselineState, Level
from detectors.baseline import BREAKS, Baseline
from detectors.judge import Judge
from detectors.merging import merge
from detectors.window import Item, Phase
from tests.unit.detectors.factory import SETTINGS, USUAL, guarding_judge, item, window

SHELL = item("exec", "/bin/sh", role="unknown-child", at_s=5)
SECRET = item("file", "/home/anna/.aws/credentials", at_s=5)


def peer(at: int) -> Item:
    return item("peer", f"tcp 203.0.113.{at % 250}:{1000 + at}", at_s=at)


def lived(every: int, until: int) -> Judge:
    """A judge in whose learning something is new every so many windows, and goes on being."""
    judge = Judge(SETTINGS, Baseline("embedder"))
    judge.observe(window(0, *USUAL))
    for at in range(1, until):
        judge.observe(window(at, *([peer(at)] if at % every == 0 else ())))
    return judge


def level_of(judge: Judge, one: Item, phase: Phase = Phase.STEADY) -> Level | None:
    found = novelty.assess(one, judge.baseline.repertoire, phase)
    return None if found is None else found.level


@pytest.mark.parametrize("every", [25, 50])
def test_learning_ends_though_somebody_shows_it_new_things_all_along(every: int) -> None:
    judge = lived(every, 40 + every * (BREAKS + 1) + 60)
    assert judge.baseline.state is BaselineState.GUARDING
    assert level_of(judge, peer(9999)) is Level.HIGH


def test_what_came_after_waiting_was_given_up_is_not_learnt() -> None:
    judge = lived(25, 240)
    late = [at for at in range(0, 240, 25) if level_of(judge, peer(at)) is not None]
    assert len(late) >= 2
    assert level_of(judge, peer(25)) is None


def test_a_server_that_shows_new_things_all_the_time_is_still_learning_and_says_why() -> None:
    judge = lived(7, 400)
    assert judge.baseline.state is BaselineState.LEARNING
    (missing,) = judge.baseline.missing(SETTINGS, 400 * 10**9)
    assert "without anything new" in missing
    assert "peer tcp 203.0.113." in missing
    assert "5%" in missing


def test_quiet_still_ends_learning_at_once() -> None:
    assert lived(10**6, 60).baseline.state is BaselineState.GUARDING


def test_a_shell_seen_once_while_learning_still_alarms() -> None:
    judge = guarding_judge(SHELL)
    found = judge.observe(window(100, item("exec", "/bin/sh", role="unknown-child", at_s=100)))
    assert found.level is Level.HIGH
    assert "at one time only while it was learnt" in found.summary


def test_a_secret_seen_once_while_learning_is_worth_a_look() -> None:
    assert level_of(guarding_judge(SECRET), SECRET) is Level.MEDIUM


def test_what_was_seen_again_while_learning_is_ordinary() -> None:
    judge = Judge(SETTINGS, Baseline("embedder"))
    judge.observe(window(0, *USUAL))
    for at in range(1, 60):
        again = item("exec", "/bin/sh", role="unknown-child", at_s=at)
        judge.observe(window(at, *([again] if at in {5, 20} else ())))
    assert level_of(judge, SHELL) is None


def test_several_at_one_time_are_one_sight() -> None:
    judge = Judge(SETTINGS, Baseline("embedder"))
    judge.observe(window(0, *USUAL))
    for at in range(1, 60):
        again = item("exec", "/bin/sh", role="unknown-child", at_s=at)
        judge.observe(window(at, *([again] if at in {5, 6, 9} else ())))
    assert level_of(judge, SHELL) is Level.HIGH


def test_a_start_up_does_what_was_seen_once() -> None:
    assert level_of(guarding_judge(SHELL), SHELL, Phase.STARTUP) is None


def test_approval_ends_the_doubt() -> None:
    judge = guarding_judge(SHELL)
    judge.baseline.approve([SHELL])
    assert level_of(judge, SHELL) is None


def test_doubt_survives_bytes_and_ends_where_another_replica_saw_the_same() -> None:
    one, other = guarding_judge(SHELL).baseline, guarding_judge().baseline
    again = Baseline.from_bytes(one.to_bytes())
    assert again.repertoire.once == one.repertoire.once
    assert merge([one, other]).repertoire.doubts(SHELL)
    assert not merge([one, again]).repertoire.doubts(SHELL)
