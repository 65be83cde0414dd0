"""A baseline is of one executable and of these models: others are said so, not alarmed on."""

import pytest

from detectors.assessment import BaselineState, Level
from detectors.baseline import Baseline
from detectors.drift import LIMIT
from detectors.judge import Judge
from tests.unit.detectors.factory import MODEL, SETTINGS, guarding_judge, item, window

LEARNED = {"executable": "/srv/venv/bin/python3.11 (build aa)", MODEL: "10 bytes of Monday"}
OTHER = LEARNED | {"executable": "/srv/venv/bin/python3.11 (build bb)"}


@pytest.fixture
def judge() -> Judge:
    judge = guarding_judge()
    judge.baseline.made_of = dict(LEARNED)
    return judge


def test_the_same_program_and_models_change_nothing(judge: Judge) -> None:
    assert not judge.compare(LEARNED)
    assert judge.baseline.state is BaselineState.GUARDING


def test_another_executable_questions_the_baseline_and_says_so_once(judge: Judge) -> None:
    assert judge.compare(OTHER)
    first, second = judge.observe(window(100)), judge.observe(window(101))
    assert judge.baseline.state is BaselineState.QUESTIONED
    assert first.level is Level.MEDIUM
    assert "build bb), learned with" in first.summary
    assert "agent baseline learn embedder" in first.summary
    assert second.level is Level.INFO
    assert not judge.compare(OTHER)


def test_a_changed_model_is_named(judge: Judge) -> None:
    judge.compare(LEARNED | {MODEL: "12 bytes of Tuesday"})
    assert (
        judge.baseline.reason
        == f"{MODEL} is now 12 bytes of Tuesday, learned with 10 bytes of Monday"
    )


def test_an_outdated_baseline_does_not_alarm_on_what_a_release_brings(judge: Judge) -> None:
    judge.compare(OTHER)
    judge.observe(window(100))
    files = [item("file", f"/opt/new/{at}/code.py") for at in range(30)]
    libraries = [item("library", f"/opt/new/lib/{at}.so") for at in range(30)]
    busy = window(101, *files, *libraries, load=8.0, extra="mmap " * 200)
    assert judge.observe(busy).level <= Level.LOW


def test_what_is_dangerous_by_itself_counts_all_the_same(judge: Judge) -> None:
    judge.compare(OTHER)
    judge.observe(window(100))
    assert judge.observe(window(101, item("exec", "/bin/sh"))).level >= Level.HIGH


def test_programs_peers_and_code_made_at_run_time_are_no_part_of_a_release(judge: Judge) -> None:
    judge.compare(OTHER)
    judge.observe(window(100))
    news = [
        item("exec", "/srv/new/tool"),
        item("peer", "tcp 10.9.8.7:443"),
        item("library", "anonymous", marks=("anonymous",)),
        item("library", "/tmp/drop/x.so", marks=("written",)),
    ]
    before = guarding_judge()
    for one in news:
        found, usual = judge.assess_item(one), before.assess_item(one)
        assert found is not None
        assert usual is not None
        assert found.level is usual.level


def test_graver_news_is_not_talked_over(judge: Judge) -> None:
    judge.compare(OTHER)
    found = judge.observe(window(100, item("exec", "/bin/sh")))
    assert found.level >= Level.HIGH
    assert "/bin/sh" in found.summary


def test_a_roll_back_guards_again_with_nothing_to_decide(judge: Judge) -> None:
    judge.compare(OTHER)
    assert judge.compare(LEARNED)
    assert judge.baseline.state is BaselineState.GUARDING
    assert judge.baseline.reason == ""
    assert judge.observe(window(100)).level is Level.INFO


def test_a_person_keeps_the_baseline_for_what_runs_now(judge: Judge) -> None:
    judge.compare(OTHER)
    judge.baseline.keep(OTHER)
    assert judge.baseline.state is BaselineState.GUARDING
    assert not judge.compare(OTHER)
    assert judge.compare(LEARNED)


def test_in_shadow_another_program_is_learned_on() -> None:
    judge = guarding_judge(shadow_windows=2)
    judge.baseline.made_of = dict(LEARNED)
    assert str(judge.baseline.state) == "shadow"
    assert judge.compare(OTHER)
    assert str(judge.baseline.state) == "learning"
    assert "build bb" in judge.baseline.reason


def test_a_baseline_that_noted_nothing_takes_the_first_facts(judge: Judge) -> None:
    judge.baseline.made_of = {}
    assert not judge.compare(OTHER)
    assert judge.baseline.made_of == OTHER


def test_it_survives_a_restart(judge: Judge) -> None:
    judge.compare(OTHER)
    judge.baseline.learned_unix_ns = 7
    again = Baseline.from_bytes(judge.baseline.to_bytes())
    assert (again.outdated, again.made_of, again.learned_unix_ns) == (True, LEARNED, 7)
    assert again.to_bytes() == judge.baseline.to_bytes()
    assert not Judge(SETTINGS, again).announcing


def test_readings_at_the_edge_for_long_question_the_baseline(judge: Judge) -> None:
    judge.drift.excess = LIMIT - 0.01
    for at in range(100, 100 + judge.evidence.stride):
        judge.observe(window(at, load=40.0, extra="execve brk mmap " * 30))
    assert judge.baseline.state is BaselineState.QUESTIONED
    assert "drifted" in judge.baseline.reason
    assert not judge.baseline.outdated
