"""Steps in a thread of their own, on real processes and a real journal."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

import pytest

from agent.config.schema import Response, Settings
from agent.daemon.hands import Action, Hands, Preserve, ReleasedError, unanswered
from agent.errors import UnknownError
from agent.response.breaker import Breaker
from agent.response.containment import Containment, Step, Target
from agent.response.containments import Containments
from agent.response.policy import Decision
from agent.response.processes import held, read_process

LIMIT_S = 5.0
FREEZE = Decision(Step.FREEZE, Step.KILL, "the configuration allows no more than freeze")


class Inbox:
    """A loop's place: what was posted, run by the test."""

    def __init__(self) -> None:
        self.posted: Queue[Callable[[], None]] = Queue()

    def post(self, act: Callable[[], None]) -> None:
        self.posted.put(act)

    def run_one(self) -> None:
        self.posted.get(timeout=LIMIT_S)()


@contextmanager
def open_hands(
    state: Path, inbox: Inbox, for_s: float = 60.0, preserve: Preserve | None = None
) -> Iterator[Hands]:
    settings = Settings(response=Response(contain_for_s=for_s))
    containments = Containments(state, None, breaker=Breaker(1000))
    hands = Hands(settings, containments, inbox.post, preserve)
    try:
        yield hands
    finally:
        hands.submit(hands.containments.release_all).result(LIMIT_S)
        hands.close()


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def hands(tmp_path: Path, inbox: Inbox) -> Iterator[Hands]:
    with open_hands(tmp_path, inbox) as hands:
        yield hands


@pytest.fixture
def target() -> Iterator[Target]:
    with subprocess.Popen(["sleep", "60"]) as process:
        found = read_process(process.pid)
        assert found is not None
        yield Target("embedder", 3, (found.id,))
        process.kill()


def freeze(hands: Hands, target: Target) -> Action:
    return hands.begin(target, FREEZE, time.monotonic_ns(), "01J", "a shell")


def test_a_step_is_taken_beside_the_caller_and_told_with_its_way_back(
    hands: Hands, inbox: Inbox, target: Target
) -> None:
    action = freeze(hands, target)
    done = action.future.result(LIMIT_S)
    told = action.told()
    assert (told["action"], told["state"], told["containment"]) == ("freeze", "done", done.id)
    assert told["undo"] == f"agent release {done.id}"
    assert told["held"] == [target.roots[0].pid]
    assert 0 < told["frozen_ms"] <= LIMIT_S * 1000
    assert held(target.roots[0].pid)
    assert "verdict 01J: a shell" in done.reason


def test_a_rehearsed_step_names_what_it_would_reach_and_does_nothing(
    hands: Hands, inbox: Inbox, target: Target
) -> None:
    rehearsed = hands.rehearse(target, FREEZE, "01J")
    ran: list[int] = []
    rehearsed.then.append(lambda: ran.append(1))
    inbox.run_one()
    told = rehearsed.told()
    assert (told["action"], told["state"], told["containment"]) == ("freeze", "would", "")
    assert told["would"]["processes"] == [target.roots[0].pid]
    assert told["would"]["refused"] == ""
    assert ran == [1]
    assert not held(target.roots[0].pid)
    assert hands.containments.list() == ()
    assert hands.standing(target.workload_id) is Step.OBSERVE


def test_a_rehearsal_says_that_the_breaker_would_refuse(tmp_path: Path, target: Target) -> None:
    here = Containments(tmp_path, None, breaker=Breaker(1))
    here.release(here.contain(target, Step.FREEZE, 60.0, "a test", "tester").id)
    would = here.rehearse(target, Step.FREEZE)
    assert "1 containments began" in would.refused
    assert here.rehearse(target, Step.FREEZE, force=True).refused == ""


def test_a_step_under_way_is_pending_and_already_counts_as_standing(
    hands: Hands, inbox: Inbox, target: Target
) -> None:
    gate = threading.Event()
    hands.submit(gate.wait)
    action = freeze(hands, target)
    assert action.told()["state"] == "pending"
    assert hands.standing(target.workload_id) is Step.FREEZE
    gate.set()
    action.future.result(LIMIT_S)


def test_a_step_stands_until_it_is_released(hands: Hands, inbox: Inbox, target: Target) -> None:
    done = freeze(hands, target).future.result(LIMIT_S)
    inbox.run_one()
    assert hands.standing(target.workload_id) is Step.FREEZE
    hands.submit(lambda: hands.containments.release(done.id)).result(LIMIT_S)
    assert hands.standing(target.workload_id) is Step.OBSERVE


def test_another_workload_is_not_held_by_it(hands: Hands, inbox: Inbox, target: Target) -> None:
    freeze(hands, target).future.result(LIMIT_S)
    assert hands.standing(target.workload_id + 1) is Step.OBSERVE


def test_what_waits_for_a_step_runs_where_it_was_posted(
    hands: Hands, inbox: Inbox, target: Target
) -> None:
    ran: list[int] = []
    action = freeze(hands, target)
    action.then.append(lambda: ran.append(threading.get_ident()))
    inbox.run_one()
    assert ran == [threading.get_ident()]


def test_a_step_that_fails_is_told_as_failed_and_stands_no_more(hands: Hands, inbox: Inbox) -> None:
    found = read_process(1)
    assert found is not None
    action = freeze(hands, Target("host", 4, (found.id,)))
    assert action.future.exception(LIMIT_S) is not None
    inbox.run_one()
    told = action.told()
    assert (told["state"], told["containment"], told["undo"]) == ("failed", "", "")
    assert "the host's first process" in told["reason"]
    assert hands.standing(4) is Step.OBSERVE


KILL = Decision(Step.KILL, Step.KILL, "")


def test_evidence_is_collected_of_what_is_held_and_then_it_is_killed(
    tmp_path: Path, inbox: Inbox, target: Target
) -> None:
    seen: list[tuple[str, bool]] = []

    def preserve(one: Containment) -> None:
        seen.append((one.id, held(target.roots[0].pid)))

    with open_hands(tmp_path, inbox, preserve=preserve) as hands:
        done = hands.begin(target, KILL, time.monotonic_ns(), "01J", "a shell").future
        assert seen in ([], [(done.result(LIMIT_S).id, True)])
        assert seen == [(done.result().id, True)]
        assert done.result().why_ended.startswith("killed")
        found = read_process(target.roots[0].pid)
        assert found is None or found.gone


def test_what_is_given_back_while_evidence_is_collected_lives(
    tmp_path: Path, inbox: Inbox, target: Target
) -> None:
    begun, gate = threading.Event(), threading.Event()

    def preserve(_one: Containment) -> None:
        begun.set()
        gate.wait(LIMIT_S)

    with open_hands(tmp_path, inbox, preserve=preserve) as hands:
        done = hands.begin(target, KILL, time.monotonic_ns(), "01J", "a shell").future
        assert begun.wait(LIMIT_S)
        hands.submit(hands.containments.release_all).result(LIMIT_S)
        gate.set()
        with pytest.raises(ReleasedError, match="was not killed"):
            done.result(LIMIT_S)
        found = read_process(target.roots[0].pid)
        assert found is not None
        assert not held(found.id.pid)


def test_evidence_that_fails_saves_nobody(tmp_path: Path, inbox: Inbox, target: Target) -> None:
    def preserve(_one: Containment) -> None:
        raise OSError("the disk is full")

    with open_hands(tmp_path, inbox, preserve=preserve) as hands:
        done = hands.begin(target, KILL, time.monotonic_ns(), "01J", "a shell").future
        assert done.result(LIMIT_S).why_ended.startswith("killed")


def test_an_operators_error_reaches_the_operator(hands: Hands) -> None:
    with pytest.raises(UnknownError):
        hands.submit(lambda: hands.containments.release("none")).result(LIMIT_S)


def test_what_has_expired_is_given_back_at_a_tick(
    tmp_path: Path, inbox: Inbox, target: Target
) -> None:
    with open_hands(tmp_path, inbox, for_s=0.05) as hands:
        freeze(hands, target).future.result(LIMIT_S)
        time.sleep(0.1)
        hands.tick(time.monotonic_ns())
        hands.submit(lambda: None).result(LIMIT_S)
        assert hands.live == ()
        assert not held(target.roots[0].pid)


def test_what_was_contained_before_a_restart_is_known_at_once(
    tmp_path: Path, inbox: Inbox, target: Target
) -> None:
    with open_hands(tmp_path, inbox) as hands:
        freeze(hands, target).future.result(LIMIT_S)
        with open_hands(tmp_path, inbox) as again:
            assert again.standing(target.workload_id) is Step.FREEZE


def test_a_decision_only_to_tell_is_done_and_has_nothing_to_undo() -> None:
    told = unanswered(Decision(Step.ALERT, Step.KILL, "no more is allowed"))
    assert told == {
        "action": "alert", "state": "done", "containment": "", "undo": "",
        "wanted": "kill", "reason": "no more is allowed",
    }  # fmt: skip
