"""What was learnt of one phase excuses nothing in another; what has no phase is ordinary always."""

from __future__ import annotations

import pytest

from detectors import novelty
from detectors.assessment import Level
from detectors.baseline import Baseline
from detectors.judge import Judge
from detectors.merging import merge
from detectors.window import Item, Phase
from tests.unit.detectors.factory import SETTINGS, USUAL, guarding_judge, item, window

SHELL = item("exec", "/bin/sh", role="unknown-child")
SECRET = item("file", "/root/.cache/huggingface/token")


def started_judge(*items: Item) -> Judge:
    """A judge that watched the server start, with these, and then serve."""
    judge = Judge(SETTINGS, Baseline("embedder"))
    judge.observe(window(0, *USUAL, *items, phase=Phase.STARTUP, bytes_out_initiated=3e6))
    for at in range(1, 60):
        judge.observe(window(at))
    assert str(judge.baseline.state) == "guarding"
    return judge


@pytest.fixture(scope="module")
def started() -> bytes:
    return started_judge(SHELL, SECRET).baseline.to_bytes()


@pytest.fixture
def judge(started: bytes) -> Judge:
    return Judge(SETTINGS, Baseline.from_bytes(started))


def level_in(judge: Judge, one: Item, phase: Phase) -> Level | None:
    found = novelty.assess(one, judge.baseline.repertoire, phase)
    return None if found is None else found.level


def test_a_shell_of_the_start_up_is_ordinary_in_a_start_up_alone(judge: Judge) -> None:
    found = {phase: level_in(judge, SHELL, phase) for phase in Phase}
    assert found == {
        Phase.STARTUP: None,
        Phase.WARMUP: Level.HIGH,
        Phase.RELOAD: Level.HIGH,
        Phase.DRAIN: Level.HIGH,
        Phase.STEADY: Level.CRITICAL,
    }


def test_a_secret_of_the_start_up_read_again_is_worth_a_look_and_no_alarm(judge: Judge) -> None:
    assert level_in(judge, SECRET, Phase.STARTUP) is None
    assert level_in(judge, SECRET, Phase.RELOAD) is Level.LOW
    assert level_in(judge, SECRET, Phase.STEADY) is Level.MEDIUM


def test_the_sentence_says_in_which_phase_it_was_seen(judge: Judge) -> None:
    found = judge.observe(window(60, SHELL))
    assert found.level is Level.CRITICAL
    assert "it did that in start-up alone" in found.summary


def test_a_worker_that_starts_later_does_what_the_start_up_did(judge: Judge) -> None:
    late = item("exec", "/bin/sh", role="unknown-child", marks=("starting",))
    assert judge.observe(window(60, late)).level is Level.INFO


def test_what_was_seen_in_both_is_ordinary_in_both() -> None:
    judge = Judge(SETTINGS, Baseline("embedder"))
    judge.observe(window(0, SHELL, phase=Phase.STARTUP))
    judge.observe(window(1, SHELL))
    assert {level_in(judge, SHELL, phase) for phase in Phase} == {None}


def test_a_restart_as_it_was_learnt_is_nothing_to_tell(judge: Judge) -> None:
    news = (SHELL, SECRET, item("file", "/opt/odd/plugin.cfg"), item("write", "/srv/run/new.pid"))
    found = judge.observe(window(60, *news, phase=Phase.STARTUP, opens=9e4, forks=200.0))
    assert found.level <= Level.LOW


@pytest.mark.parametrize("phase", list(Phase))
def test_an_attack_is_at_least_high_in_every_phase(judge: Judge, phase: Phase) -> None:
    for one in (
        item("exec", "/usr/bin/dash"),
        item("exec", "/opt/odd/tool", marks=("deleted",)),
        item("file", "/home/anna/.aws/credentials"),
        item("write", "/root/.ssh/authorized_keys"),
    ):
        found = level_in(judge, one, phase)
        assert found is not None
        assert found >= Level.HIGH


@pytest.mark.parametrize("phase", list(Phase))
def test_an_upload_is_at_least_high_in_every_phase(judge: Judge, phase: Phase) -> None:
    found = judge.observe(window(60, phase=phase, bytes_out_initiated=5e7))
    assert found.level >= Level.HIGH
    assert found.features[0].name == "bytes_out_initiated"


def test_what_a_start_up_sent_while_learnt_is_free_in_a_start_up_alone(judge: Judge) -> None:
    assert judge.observe(window(60, phase=Phase.STARTUP, bytes_out_initiated=4e6)).level == 0
    assert judge.observe(window(61, bytes_out_initiated=4e6)).level is Level.HIGH


def test_first_calls_may_make_code_but_read_nothing_foreign(judge: Judge) -> None:
    jit = item("library", "anonymous memory", marks=("anonymous",))
    notes = item("file", "/home/anna/notes.md")
    assert level_in(judge, jit, Phase.STEADY) is Level.MEDIUM
    assert level_in(judge, jit, Phase.WARMUP) is Level.LOW
    assert level_in(judge, notes, Phase.WARMUP) is Level.MEDIUM


def test_a_start_up_never_watched_may_ask_about_the_host() -> None:
    judge = guarding_judge()
    assert level_in(judge, item("exec", "/sbin/ldconfig"), Phase.STARTUP) is Level.LOW
    assert level_in(judge, item("exec", "/bin/sh"), Phase.STARTUP) is Level.MEDIUM
    assert level_in(judge, item("exec", "/bin/sh"), Phase.WARMUP) is Level.CRITICAL
    remote = item("exec", "/bin/sh", marks=("stdio-socket",))
    assert level_in(judge, remote, Phase.STARTUP) is Level.CRITICAL


def test_numbers_of_a_reload_are_no_evidence(judge: Judge) -> None:
    before = judge.evidence.evidence
    found = [
        judge.observe(window(at, phase=Phase.RELOAD, opens=5e4, forks=300.0, rss_bytes=9e9))
        for at in range(60, 120)
    ]
    assert max(one.level for one in found) is Level.INFO
    assert judge.evidence.evidence == before


def test_phases_survive_bytes_and_older_bytes_have_none(judge: Judge) -> None:
    again = Baseline.from_bytes(judge.baseline.to_bytes())
    assert again.repertoire.apart == judge.baseline.repertoire.apart
    assert again.uploads == {"start-up": 3e6}
    assert again.summary()["only_in_phases"] == {"start-up": 2}
    again.repertoire.apart = {}
    assert level_in(Judge(SETTINGS, again), SHELL, Phase.STEADY) is None


def test_replicas_unite_their_phases() -> None:
    one, other = started_judge(SHELL).baseline, guarding_judge(SHELL).baseline
    twin = started_judge(SHELL).baseline
    assert merge([one, twin]).repertoire.phases_of(SHELL) == {Phase.STARTUP}
    assert not merge([one, other]).repertoire.phases_of(SHELL)
    assert merge([one, other]).to_bytes() == merge([other, one]).to_bytes()


def test_approval_is_for_every_phase(judge: Judge) -> None:
    judge.baseline.approve([SHELL])
    assert level_in(judge, SHELL, Phase.STEADY) is None
