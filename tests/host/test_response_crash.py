"""Containment with the kernel's switch, and the acting process killed at every step of it."""

import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from agent.response.breaker import Breaker
from agent.response.containment import Containment, State, Step, Target
from agent.response.containments import Containments
from agent.response.pinned import PinnedSwitch
from agent.response.processes import exists, held, read_process, stopped
from probes.errors import ProbeError
from probes.loader import Sensor, remove

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

UNLIMITED = Breaker(limit=1_000_000)

CONTAIN_POINTS = ("intended", "intent", "switched", "stopped", "held")
RELEASE_POINTS = ("release", "cleared", "continued")

TREE = "sleep 60 & while :; do sleep 0.01; done"

ORPHANS = """
import os, time
end = time.monotonic() + 20
for line in range(8):  # eight lines of descent, each parent leaving its only child behind
    if os.fork() == 0:
        while time.monotonic() < end:
            time.sleep(0.002)
            if os.fork():
                os._exit(0)
        os._exit(0)
time.sleep(20)
"""

CALLER = """
import socket, sys, time
while True:
    began = time.monotonic_ns()
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[1]))).close()
    except OSError as error:
        print(began, "error", error.errno, flush=True)
    else:
        print(began, "done", 0, flush=True)
    time.sleep(0.002)
"""


@pytest.fixture(scope="module")
def sensor() -> Iterator[Sensor]:
    pins = Path(f"/sys/fs/bpf/inferward-test-response-{os.getpid()}")
    try:
        opened = Sensor.open(pins)
    except ProbeError as error:
        pytest.skip(f"this kernel does not take the probes: {error}")
    yield opened
    opened.close()
    remove(pins)


@pytest.fixture(scope="module")
def switch(sensor: Sensor) -> PinnedSwitch:
    opened = PinnedSwitch.open(sensor.pins, sensor.schema)
    assert opened is not None
    return opened


Start = Callable[..., Target]


@pytest.fixture
def start(sensor: Sensor, switch: PinnedSwitch) -> Iterator[Start]:
    started: list[tuple[subprocess.Popen[bytes], int]] = []

    def begin(*command: str, workload_id: int = 1) -> Target:
        process = subprocess.Popen(command, start_new_session=True)
        started.append((process, workload_id))
        return watched(sensor, process.pid, workload_id)

    yield begin
    for process, workload_id in started:
        switch.set(workload_id, Step.FREEZE, 0)
        for pid, (workload, _) in switch.members().items():
            if workload == workload_id:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        switch.clear(workload_id)
        process.kill()
        process.wait()


def watched(sensor: Sensor, pid: int, workload_id: int) -> Target:
    member = np.zeros(1, sensor.schema.dtype("member"))
    member["workload"] = workload_id
    sensor.maps["members"].set(np.uint32(pid).tobytes(), member.tobytes())
    sensor.adopt()
    found = read_process(pid)
    assert found is not None
    return Target(f"w{workload_id}", workload_id, (found.id,))


def members(switch: PinnedSwitch, workload_id: int) -> list[int]:
    return [pid for pid, (workload, _) in switch.members().items() if workload == workload_id]


def wait_for(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    give_up = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def runs(pid: int) -> bool:
    return not stopped(pid)


def dies_at(point: str, act: Callable[[Callable[[str], None]], object]) -> None:
    """Do `act` in a process that is killed when it reaches `point`."""

    def fault(reached: str) -> None:
        if reached == point:
            os.kill(os.getpid(), signal.SIGKILL)

    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            act(fault)
        os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), f"{point} was never reached"


def freeze(here: Containments, target: Target) -> Containment:
    return here.contain(target, Step.FREEZE, 60, "a test", "tester")


def test_the_switch_reads_back_what_was_set(switch: PinnedSwitch) -> None:
    switch.set(9, Step.CONTAIN, 12345)
    told = switch.get(9)
    assert told is not None
    assert (told.step, told.until_ns) == (Step.CONTAIN, 12345)
    assert switch.switched() == {9: told}
    switch.clear(9)
    assert switch.get(9) is None


def test_that_clients_are_cut_outlives_a_crash_and_a_lost_record(
    tmp_path: Path, switch: PinnedSwitch, start: Start
) -> None:
    target = start("sleep", "60")
    here = Containments(tmp_path, switch, breaker=UNLIMITED)
    kept = here.contain(target, Step.CONTAIN, None, "a test", "tester")
    assert not switch.switched()[1].cut_clients
    cut = here.contain(target, Step.CONTAIN, None, "a test", "tester", cut_clients=True)
    assert (cut.id, cut.cut_clients) == (kept.id, True)
    switch.set(1, Step.CONTAIN, 0)
    (again,) = Containments(tmp_path, switch).recover()
    assert (again.id, again.cut_clients) == (kept.id, True)
    assert switch.switched()[1].cut_clients
    (found,) = Containments(tmp_path / "another", switch).recover()
    assert found.cut_clients
    here.release(kept.id)
    assert switch.switched() == {}


def test_a_tree_whose_parents_leave_is_frozen_whole(
    tmp_path: Path, switch: PinnedSwitch, start: Start
) -> None:
    target = start(sys.executable, "-c", ORPHANS)
    time.sleep(0.3)
    here = Containments(tmp_path, switch, breaker=UNLIMITED)
    done = freeze(here, target)
    before = set(members(switch, 1))
    assert done.running == ()
    assert len(before) >= 8
    time.sleep(0.1)
    assert set(members(switch, 1)) == before
    assert all(held(pid, patient=True) for pid in before)
    assert here.contain(target, Step.KILL, None, "a test", "tester").why_ended == "killed"
    assert not any(exists(process) for process in done.processes)


def test_after_the_release_nothing_is_stopped_again(
    tmp_path: Path, switch: PinnedSwitch, start: Start
) -> None:
    target = start("sh", "-c", TREE)
    here = Containments(tmp_path, switch, breaker=UNLIMITED)
    for _ in range(5):
        here.release(freeze(here, target).id)
        time.sleep(0.03)
        assert all(runs(pid) for pid in members(switch, 1))


def test_no_connection_begun_after_the_containment_succeeds(
    tmp_path: Path, switch: PinnedSwitch, start: Start
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as server:
        port = server.getsockname()[1]
        calls = tmp_path / "calls"
        target = start("sh", "-c", f'exec "$0" -c "$1" {port} > {calls}', sys.executable, CALLER)
        wait_for(lambda: calls.exists() and "done" in calls.read_text())
        here = Containments(tmp_path / "state", switch, breaker=UNLIMITED)
        done = here.contain(target, Step.CONTAIN, 60, "a test", "tester")
        contained_ns = time.monotonic_ns()
        time.sleep(0.2)
        here.release(done.id)
        released_ns = time.monotonic_ns()
        time.sleep(0.2)
        rows = [line.split() for line in calls.read_text().splitlines()[:-1]]
    between = {
        (how, no) for at, how, no in rows if contained_ns < int(at) < release_began_ns(here, done)
    }
    assert between == {("error", str(errno.EPERM))}
    assert "done" in {how for at, how, _ in rows if int(at) > released_ns}


def release_began_ns(here: Containments, done: Containment) -> int:
    (ended,) = (one for one in here.list() if one.id == done.id)
    return ended.times["release"]


@pytest.mark.parametrize("point", CONTAIN_POINTS)
def test_killed_while_freezing_the_next_one_finishes_it(
    point: str, tmp_path: Path, switch: PinnedSwitch, start: Start
) -> None:
    target = start("sh", "-c", TREE)
    dies_at(point, lambda fault: freeze(Containments(tmp_path, switch, fault=fault), target))
    here = Containments(tmp_path, switch, breaker=UNLIMITED)
    here.recover()
    if point == "intended":  # nothing was recorded, so nothing may have been done
        assert here.list() == ()
        assert switch.switched() == {}
        assert all(runs(pid) for pid in members(switch, 1))
        return
    (live,) = here.live()
    assert live.state is State.DONE
    assert set(switch.switched()) == {1}
    assert all(held(pid, patient=True) for pid in members(switch, 1))
    here.release(live.id)
    assert switch.switched() == {}
    assert all(runs(pid) for pid in members(switch, 1))


@pytest.mark.parametrize("point", CONTAIN_POINTS[1:])
def test_killed_while_freezing_the_command_line_can_release_without_recovery(
    point: str, tmp_path: Path, switch: PinnedSwitch, start: Start
) -> None:
    target = start("sh", "-c", TREE)
    dies_at(point, lambda fault: freeze(Containments(tmp_path, switch, fault=fault), target))
    Containments(tmp_path, switch).release_all()
    assert switch.switched() == {}
    assert all(runs(pid) for pid in members(switch, 1))


@pytest.mark.parametrize("point", RELEASE_POINTS)
def test_killed_while_releasing_the_next_one_finishes_it(
    point: str, tmp_path: Path, switch: PinnedSwitch, start: Start
) -> None:
    target = start("sh", "-c", TREE)
    here = Containments(tmp_path, switch)
    done = freeze(here, target)
    dies_at(point, lambda fault: Containments(tmp_path, switch, fault=fault).release(done.id))
    here.recover()
    assert here.live() == ()
    assert switch.switched() == {}
    assert all(runs(pid) for pid in members(switch, 1))


@pytest.mark.parametrize("point", ["stopped", "held", "killed"])
def test_killed_while_killing_the_next_one_finishes_it(
    point: str, tmp_path: Path, switch: PinnedSwitch, start: Start
) -> None:
    target = start("sh", "-c", TREE)

    def kill(fault: Callable[[str], None]) -> object:
        here = Containments(tmp_path, switch, fault=fault)
        return here.contain(target, Step.KILL, None, "a test", "tester")

    dies_at(point, kill)
    here = Containments(tmp_path, switch)
    here.recover()
    assert here.live() == ()
    assert switch.switched() == {}
    assert members(switch, 1) == []


def test_what_the_kernel_contains_and_no_record_lists_is_listed_after_recovery(
    tmp_path: Path, switch: PinnedSwitch
) -> None:
    switch.set(5, Step.CONTAIN, 0)
    here = Containments(tmp_path, switch)
    here.recover({5: "embedder"})
    (found,) = here.live()
    assert (found.target.workload, found.step) == ("embedder", Step.CONTAIN)
    here.release(found.id)
    assert switch.switched() == {}


def test_a_lost_journal_leaves_nothing_frozen_that_is_not_listed(
    tmp_path: Path, switch: PinnedSwitch, start: Start
) -> None:
    target = start("sh", "-c", TREE)
    freeze(Containments(tmp_path, switch), target)
    (tmp_path / "journal").write_bytes(b"garbage\n" * 40)
    here = Containments(tmp_path, switch)
    here.recover()
    assert here.set_aside
    (found,) = here.live()
    here.release(found.id)
    assert all(runs(pid) for pid in members(switch, 1))


class CrashError(BaseException):
    """What stands for SIGKILL inside one process: nothing in the product catches it."""


def die() -> None:
    raise CrashError


NUMBERS = st.integers(0, 2)
STEPS = st.sampled_from([Step.LIMIT, Step.CONTAIN, Step.FREEZE])


class Random(RuleBasedStateMachine):
    """Random orders, ends, exits and deaths; after each, kernel and journal agree."""

    switch: PinnedSwitch
    start: Start
    targets: list[Target]

    def __init__(self) -> None:
        super().__init__()
        self.state = tempfile.TemporaryDirectory()
        self.here = self.open()

    def open(self, point: str = "", act: Callable[[], None] = die) -> Containments:
        def fault(reached: str) -> None:
            if reached == point:
                act()

        return Containments(Path(self.state.name), self.switch, breaker=UNLIMITED, fault=fault)

    def order(
        self, here: Containments, number: int, step: Step, for_s: float | None = None
    ) -> None:
        target = self.targets[number]
        here.contain(target, step, for_s, "a test", "tester", upload_bytes={"public": 1})

    def contained(self, number: int) -> bool:
        live = {one.target.workload_id for one in self.here.live()}
        return self.targets[number].workload_id in live

    def end(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.targets[number].roots[0].pid, signal.SIGKILL)
        wait_for(lambda: not exists(self.targets[number].roots[0]))

    @rule(number=NUMBERS, step=STEPS)
    def contain(self, number: int, step: Step) -> None:
        self.order(self.here, number, step)

    @rule(number=NUMBERS, step=STEPS)
    def contain_for_a_moment(self, number: int, step: Step) -> None:
        self.order(self.here, number, step, 0.001)
        time.sleep(0.002)
        self.here.expire(time.monotonic_ns())

    @rule(number=NUMBERS, step=STEPS, point=st.sampled_from(CONTAIN_POINTS))
    def die_containing(self, number: int, step: Step, point: str) -> None:
        with suppress(CrashError):
            self.order(self.open(point), number, step)
        self.here.recover()

    @rule(number=NUMBERS, step=STEPS, point=st.sampled_from(CONTAIN_POINTS))
    def target_exits_in_the_middle(self, number: int, step: Step, point: str) -> None:
        self.order(self.open(point, lambda: self.end(number)), number, step)

    @rule(number=NUMBERS)
    def exit_and_come_back(self, number: int) -> None:
        """One that is contained stays away: it would be another process than the one held."""
        self.end(number)
        if not self.contained(number):
            self.targets[number] = self.start("sleep", "300", workload_id=number + 1)

    @rule()
    def release_oldest(self) -> None:
        for one in self.here.live()[:1]:
            self.here.release(one.id)

    @rule(point=st.sampled_from(RELEASE_POINTS))
    def die_releasing(self, point: str) -> None:
        with suppress(CrashError):
            self.open(point).release_all()
        self.here.recover()

    @rule()
    def restart(self) -> None:
        self.here = self.open()
        self.here.recover()

    @invariant()
    def kernel_and_journal_agree(self) -> None:
        live = {one.target.workload_id: one.step for one in self.here.live()}
        told = {workload: one.step for workload, one in self.switch.switched().items()}
        assert told == live

    @invariant()
    def exactly_the_frozen_are_stopped(self) -> None:
        frozen = {one.target.workload_id for one in self.here.live() if one.step is Step.FREEZE}
        for target in self.targets:
            if exists(target.roots[0]):
                assert held(target.roots[0].pid) == (target.workload_id in frozen)

    def teardown(self) -> None:
        self.here.release_all()
        self.state.cleanup()


def test_no_sequence_of_orders_exits_and_deaths_leaves_kernel_and_journal_apart(
    switch: PinnedSwitch, start: Start
) -> None:
    """SEQUENCES=1000 tries as many; by default what fits into everybody's test run."""
    targets = [start("sleep", "300", workload_id=number) for number in (1, 2, 3)]
    names = {"switch": switch, "targets": targets, "start": staticmethod(start)}
    run_state_machine_as_test(
        type("Bound", (Random,), names),
        settings=settings(
            max_examples=int(os.environ.get("SEQUENCES", "20")),
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
