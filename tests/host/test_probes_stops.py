"""In tier `trace`, who does what a contained workload may not is stopped after it; nothing follows.

The acts are those that the tier `guard` denies: tests/vm/guest, one in a tight loop each.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from agent.response.breaker import Breaker
from agent.response.containment import Containment, Step, Target
from agent.response.containments import Containments
from agent.response.pinned import PinnedSwitch
from agent.response.processes import read_process
from probes.sensitive import mark
from tests.host.actors import SETTLED_S, Actor, acting, begin, child_of, stopped, wait_for
from tests.host.eyes import LIMIT_S, Eyes
from tests.vm.guest.guard import Act, Stage
from tests.vm.programs import compile_all

REFUSED = {
    "bind-datagram", "bind-stream", "connect-inet", "ring-connect", "ring-send-connected",
    "send-inet", "send-raw", "sendfile-connected", "sendmmsg", "sendmsg", "splice-connected",
    "write-connected",
}  # fmt: skip
"""By cgroup programs, before they are done, in every tier."""

KEPT = {"answer-unix", "append", "kill-own", "receive-socket", "send-stream", "socketpair"}
"""What was open before is kept; local streams, and what comes over them, too, where no LSM program
asks whom they reach."""

EXECS = {"exec", "exec-memfd", "execveat"}
"""Done by a child, whose parent waits for it."""

MOST_UNDER_WAY = 6
"""A loop of three calls is in the one that counts a third of the time: seven times in a row, once
in two thousand."""
UNDER_WAY = "was stopped, as for an act that was let through"

FORKS = """
import os
gate()
for number in range(400):
    if os.fork() == 0:
        os.mkdir(f"{sys.argv[1]}/{number}")
        os._exit(0)
    os.getppid()
"""


@pytest.fixture(scope="module")
def trace(eyes: Eyes) -> Eyes:
    if eyes.sensor.tier != "trace":
        pytest.skip("this kernel denies before the act: tests/vm/guest/guard.py")
    compile_all()
    return eyes


@pytest.fixture(scope="module")
def switch(trace: Eyes) -> PinnedSwitch:
    opened = PinnedSwitch.open(trace.sensor.pins, trace.sensor.schema)
    assert opened is not None
    return opened


@pytest.fixture
def here(tmp_path: Path, switch: PinnedSwitch) -> Iterator[Containments]:
    containments = Containments(tmp_path / "state", switch, breaker=Breaker(1000))
    yield containments
    containments.release_all()


def contain(here: Containments, actor: Actor) -> Containment:
    return here.contain(actor.target, Step.CONTAIN, 60, "a test", "tester")


@pytest.fixture
def stage(trace: Eyes, tmp_path: Path) -> Iterator[Stage]:
    folder = tmp_path / "stage"
    folder.mkdir()
    with ExitStack() as stack:
        stage = Stage(folder, stack)
        places = [stage.listed, str(folder / "credentials"), "/etc/shadow"]
        mark(trace.sensor.maps["sensitive"], trace.sensor.schema, places)
        yield stage


def test_every_act_that_guard_denies_is_refused_or_stops_who_does_it(
    trace: Eyes, stage: Stage, here: Containments, tmp_path: Path
) -> None:
    wrong = []
    for each in stage.acts():
        Path(stage.plain).touch()  # who was ended between two renames took it away
        pin = str(trace.sensor.pins / "contained")
        act = replace(each, arguments=(pin,)) if each.name == "bpf" else each
        with acting(trace, act, tmp_path / "tally") as actor:
            begin(actor)
            done = contain(here, actor)
            first = actor.done()
            problem = _judge(act, actor, first)
            for _ in range(MOST_UNDER_WAY):  # begun before, ended after: now and then, not always
                if problem != UNDER_WAY:
                    break
                here.release(done.id)
                done = contain(here, actor)
                first = actor.done()
                problem = _judge(act, actor, first)
            here.release(done.id)
            if not problem:
                again = actor.done()
                give_up = time.monotonic() + LIMIT_S
                while actor.done() == again and time.monotonic() < give_up:
                    time.sleep(0.002)
                problem = "" if actor.done() > again else "does not go on after the release"
            if problem:
                wrong.append(f"{act.name} {act.note}: {problem}")
    assert not wrong, "\n".join(wrong)


def _judge(act: Act, actor: Actor, first: int) -> str:
    """What is wrong with how a contained process behaves; "" if nothing is."""
    pid, tried = actor.process.pid, actor.tried()
    if act.name in REFUSED:  # a connect under way when it was contained waits for its answer
        time.sleep(SETTLED_S)
        return "was let through" if actor.done() > first + 1 else UNDER_WAY * stopped(pid)
    if act.name in KEPT or act.kept:
        give_up = time.monotonic() + LIMIT_S
        while actor.tried() < tried + 3 and time.monotonic() < give_up:
            time.sleep(0.002)
        return "was stopped" if actor.tried() < tried + 3 else ""
    give_up = time.monotonic() + LIMIT_S
    where = child_of(pid) if act.name in EXECS else pid
    while not stopped(where or pid) and time.monotonic() < give_up:
        time.sleep(0.002)
        where = child_of(pid) if act.name in EXECS else pid
    if not stopped(where or pid):
        return f"runs on, {actor.done() - first} times"
    here = actor.done()
    time.sleep(SETTLED_S)
    if actor.done() != here or here > first + 1:
        return f"went on {actor.done() - first} times"
    return ""


def test_a_program_started_by_a_contained_process_runs_no_instruction(
    trace: Eyes, here: Containments, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    script = (
        "import os\ngate()\nos.spawnv(os.P_WAIT, '/bin/sh', ['sh', '-c', f'echo > {sys.argv[1]}'])"
    )
    with trace.python(script, str(said)) as gated:
        found = read_process(gated.pid)
        assert found is not None
        here.contain(Target("w", gated.number, (found.id,)), Step.CONTAIN, 60, "a test", "tester")
        gated.tell()
        wait_for(lambda: child_of(gated.pid) and stopped(child_of(gated.pid)))
        time.sleep(SETTLED_S)
        assert not said.exists()
        here.release_all()
        wait_for(said.exists)


def test_acts_through_ever_new_processes_end_with_all_of_it_stopped(
    trace: Eyes, here: Containments, tmp_path: Path
) -> None:
    limit = trace.sensor.schema.limit("ACTS_MAX")
    folder = tmp_path / "made"
    folder.mkdir()
    with trace.python(FORKS, str(folder)) as gated:
        found = read_process(gated.pid)
        assert found is not None
        here.contain(Target("w", gated.number, (found.id,)), Step.CONTAIN, 60, "a test", "tester")
        gated.tell()
        wait_for(lambda: stopped(gated.pid))
        time.sleep(SETTLED_S)
        made = len(list(folder.iterdir()))
        # And those that waited for the directory's lock, each in its own call, at the last of them.
        assert made <= 2 * limit + 2 * (os.cpu_count() or 1)


def test_a_sibling_that_continues_the_stopped_is_stopped_itself(
    trace: Eyes, here: Containments, tmp_path: Path
) -> None:
    script = """
import os, signal, time
child = os.fork()
if child == 0:
    while True:
        time.sleep(0.001)
        os.path.exists(sys.argv[1]) and os.mkdir(sys.argv[1] + str(time.monotonic_ns()))
gate()
while True:
    os.kill(child, signal.SIGCONT)
    time.sleep(0.001)
"""
    flag = tmp_path / "now"
    with trace.python(script, str(flag)) as gated:
        found = read_process(gated.pid)
        assert found is not None
        trace.watch(child_of(gated.pid), gated.number)
        here.contain(Target("w", gated.number, (found.id,)), Step.CONTAIN, 60, "a test", "tester")
        flag.touch()
        wait_for(lambda: stopped(child_of(gated.pid)))
        gated.tell()
        wait_for(lambda: stopped(gated.pid) and stopped(child_of(gated.pid)))
        made = len(list(tmp_path.iterdir()))
        time.sleep(SETTLED_S)
        assert len(list(tmp_path.iterdir())) == made


@pytest.mark.parametrize("mode", ["changes", "hidden"])
def test_acts_through_a_ring_stop_who_asks_for_them(
    trace: Eyes, here: Containments, tmp_path: Path, mode: str
) -> None:
    with trace.rings(tmp_path / "ring", 0, mode) as gated:
        found = read_process(gated.pid)
        assert found is not None
        here.contain(Target("w", gated.number, (found.id,)), Step.CONTAIN, 60, "a test", "tester")
        gated.tell()
        wait_for(lambda: stopped(gated.pid))
        assert trace.seen(gated.number).totals["COUNT_STOPPED"] >= 1
        here.release_all()


def test_what_nobody_contains_is_never_stopped(trace: Eyes, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    with trace.python(FORKS, str(folder)) as gated:
        gated.tell()
        wait_for(lambda: len(list(folder.iterdir())) == 400)
    assert trace.seen(gated.number).totals["COUNT_STOPPED"] == 0
