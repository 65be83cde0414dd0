"""Freeze, release and kill of real process trees by signals and cgroups, without the switch."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agent.errors import RefusedError, UnknownError
from agent.response.breaker import Breaker, BreakerOpenError
from agent.response.cgroups import mount_point
from agent.response.containment import Containment, ProcessId, State, Step, Target
from agent.response.containments import Containments
from agent.response.guard import ProtectedProcessError
from agent.response.processes import children, exists, held, read_process, stopped
from agent.response.switch import SwitchError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

UNLIMITED = Breaker(limit=1_000_000)

TREE = "sleep 60 & sh -c 'sleep 60 & while :; do sleep 0.01; done' & while :; do :; done"

QUIET_TREE = "sleep 60 & sleep 60 & sleep 60 & wait"

THREADS = """
import threading, time
def count(path):
    n = 0
    while True:
        n += 1
        open(path, "w").write(str(n))
for i in range(4):
    threading.Thread(target=count, args=(f"{__import__('sys').argv[1]}/{i}",), daemon=True).start()
time.sleep(60)
"""

ECHO = """
import pathlib, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
pathlib.Path(sys.argv[1]).write_text(str(listener.getsockname()[1]))
client, _ = listener.accept()
while words := client.recv(64):
    client.send(words)
"""

VFORK = "import subprocess; subprocess.run(['sleep', '60'])"

Start = Callable[..., Target]


def everyone(pid: int) -> list[int]:
    found = [pid]
    for child in children(pid):
        process = read_process(child)
        if process is not None and not process.gone:
            found += everyone(child)
    return found


def wait_for(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    give_up = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def runs(pid: int) -> bool:
    return not stopped(pid)


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def begin(*command: str, workload_id: int = 1) -> Target:
        process = subprocess.Popen(command, start_new_session=True)
        started.append(process)
        found = read_process(process.pid)
        assert found is not None
        return Target(f"w{workload_id}", workload_id, (found.id,))

    yield begin
    for process in started:
        family = everyone(process.pid)
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def group() -> Iterator[Path]:
    mount = mount_point(Path("/proc/self/mountinfo").read_text())
    if mount is None:
        pytest.skip("cgroup v2 is not mounted")
    path = mount / f"inferward-test-{os.getpid()}"
    (path / "inner").mkdir(parents=True)
    yield path
    (path / "cgroup.kill").write_text("1")
    wait_for(lambda: "populated 0" in (path / "cgroup.events").read_text())
    (path / "inner").rmdir()
    path.rmdir()


@pytest.fixture
def here(tmp_path: Path) -> Containments:
    return Containments(tmp_path, None, breaker=UNLIMITED)


def freeze(here: Containments, target: Target, for_s: float | None = 60) -> Containment:
    return here.contain(target, Step.FREEZE, for_s, "a test", "tester")


def test_every_process_of_a_tree_is_frozen_and_given_back(here: Containments, start: Start) -> None:
    target = start("sh", "-c", TREE)
    root = target.roots[0].pid
    wait_for(lambda: len(everyone(root)) >= 4)
    done = freeze(here, target)
    pids = everyone(root)
    assert all(held(pid, patient=True) for pid in pids)
    assert {process.pid for process in done.processes} >= set(pids)
    assert (done.running, done.how, done.state) == ((), "signals", State.DONE)
    given = here.release(done.id)
    assert given.state is State.RELEASED
    assert all(runs(pid) for pid in everyone(root))
    steps = ["intent", "switched", "held", "done", "release", "released"]
    times = [given.times[step] for step in steps]
    assert times == sorted(times)


def test_no_thread_does_anything_after_the_freeze_returned(
    here: Containments, start: Start, tmp_path: Path
) -> None:
    target = start(sys.executable, "-c", THREADS, str(tmp_path))
    files = [tmp_path / str(number) for number in range(4)]
    wait_for(lambda: all(file.exists() for file in files))
    freeze(here, target)
    before = [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]
    time.sleep(0.2)
    assert [(file.read_bytes(), file.stat().st_mtime_ns) for file in files] == before
    here.release_all()
    wait_for(lambda: [file.stat().st_mtime_ns for file in files] != [time for _, time in before])


def test_the_parent_of_a_vfork_is_held_with_its_child(here: Containments, start: Start) -> None:
    target = start(sys.executable, "-c", VFORK)
    wait_for(lambda: len(everyone(target.roots[0].pid)) == 2)
    done = freeze(here, target)
    assert done.running == ()
    assert held(target.roots[0].pid)  # known for what it is, not after a while
    here.release(done.id)
    assert all(runs(pid) for pid in everyone(target.roots[0].pid))
    assert not held(target.roots[0].pid)


def test_what_somebody_else_had_stopped_stays_stopped(here: Containments, start: Start) -> None:
    target = start("sh", "-c", TREE)
    root = target.roots[0].pid
    wait_for(lambda: len(everyone(root)) >= 4)
    mine = children(root)[0]
    os.kill(mine, signal.SIGSTOP)
    wait_for(lambda: held(mine))
    done = freeze(here, target)
    assert [process.pid for process in done.stopped_before] == [mine]
    here.release(done.id)
    assert held(mine)
    assert runs(root)


def test_a_workload_with_its_own_cgroup_is_frozen_by_it(
    here: Containments, start: Start, group: Path
) -> None:
    target = start("sh", "-c", QUIET_TREE)
    root = target.roots[0].pid
    wait_for(lambda: len(everyone(root)) == 4)
    for number, pid in enumerate(everyone(root)):
        (group / ("inner" if number % 2 else "") / "cgroup.procs").write_text(str(pid))
    done = freeze(here, target)
    assert done.how.startswith("cgroup")
    assert (done.cgroup, done.running) == (f"/{group.name}", ())
    assert "frozen 1" in (group / "cgroup.events").read_text()
    here.release(done.id)
    assert "frozen 0" in (group / "cgroup.events").read_text()
    assert all(runs(pid) for pid in everyone(root))
    here.contain(target, Step.KILL, None, "a test", "tester")
    assert not any(exists(process) for process in done.processes)


def test_a_stranger_in_the_cgroup_runs_on(here: Containments, start: Start, group: Path) -> None:
    target, stranger = start("sleep", "60"), start("sleep", "60", workload_id=2)
    for each in (target, stranger):
        (group / "cgroup.procs").write_text(str(each.roots[0].pid))
    done = freeze(here, target)
    assert done.how == "signals"
    assert held(target.roots[0].pid)
    assert runs(stranger.roots[0].pid)


def test_a_cgroup_that_somebody_else_froze_stays_frozen(
    here: Containments, start: Start, group: Path
) -> None:
    target = start("sleep", "60")
    (group / "cgroup.procs").write_text(str(target.roots[0].pid))
    (group / "cgroup.freeze").write_text("1")
    wait_for(lambda: "frozen 1" in (group / "cgroup.events").read_text())
    done = freeze(here, target)
    assert (done.running, done.cgroup) == ((), "")
    here.release(done.id)
    assert "frozen 1" in (group / "cgroup.events").read_text()


def test_a_client_whose_server_was_frozen_is_answered_on_the_same_connection(
    here: Containments, start: Start, tmp_path: Path
) -> None:
    target = start(sys.executable, "-c", ECHO, str(tmp_path / "port"))
    wait_for(lambda: (tmp_path / "port").exists() and bool((tmp_path / "port").read_text()))
    address = ("127.0.0.1", int((tmp_path / "port").read_text()))
    with socket.create_connection(address, 5) as client:
        client.send(b"before")
        assert client.recv(64) == b"before"
        done = freeze(here, target)
        client.send(b"meanwhile")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(64)
        here.release(done.id)
        client.settimeout(5)
        assert client.recv(64) == b"meanwhile"
        client.send(b"after")
        assert client.recv(64) == b"after"


def test_kill_leaves_nothing_and_needs_no_release(here: Containments, start: Start) -> None:
    target = start("sh", "-c", TREE)
    wait_for(lambda: len(everyone(target.roots[0].pid)) >= 4)
    done = here.contain(target, Step.KILL, None, "a test", "tester")
    assert (done.state, done.why_ended) == (State.ENDED, "killed")
    assert not any(exists(process) for process in done.processes)
    assert here.live() == ()


def test_a_target_that_is_gone_is_contained_without_complaint(
    here: Containments, start: Start
) -> None:
    target = start("true")
    wait_for(lambda: not exists(target.roots[0]))
    done = freeze(here, target)
    assert (done.processes, done.running) == ((), ())
    here.release(done.id)


def test_a_process_that_got_a_dead_ones_number_is_left_alone(
    here: Containments, start: Start
) -> None:
    stranger = start("sleep", "60")
    real = stranger.roots[0]
    stale = Target("w", 1, (ProcessId(real.pid, real.start_ticks - 1),))
    done = freeze(here, stale)
    assert done.processes == ()
    assert runs(real.pid)


def test_a_target_that_dies_while_frozen_is_released(here: Containments, start: Start) -> None:
    target = start("sleep", "60")
    done = freeze(here, target)
    os.kill(target.roots[0].pid, signal.SIGKILL)
    assert here.release(done.id).state is State.RELEASED


def test_a_freeze_ends_by_itself(here: Containments, start: Start) -> None:
    target = start("sleep", "60")
    done = freeze(here, target, for_s=0.05)
    assert here.expire(done.until_ns - 1) == ()
    (ended,) = here.expire(done.until_ns)
    assert (ended.state, ended.why_ended) == (State.RELEASED, "expired")
    assert runs(target.roots[0].pid)


def test_another_process_can_release(here: Containments, start: Start, tmp_path: Path) -> None:
    target = start("sleep", "60")
    done = freeze(here, target)
    Containments(tmp_path, None).release(done.id)
    assert runs(target.roots[0].pid)
    assert here.live() == ()
    with pytest.raises(UnknownError):
        here.release(done.id)


def test_a_second_order_prolongs_and_never_lowers(here: Containments, start: Start) -> None:
    target = start("sleep", "60")
    first = freeze(here, target, for_s=60)
    second = freeze(here, target, for_s=600)
    assert second.id == first.id
    assert second.until_ns > first.until_ns
    assert second.stopped_before == ()
    here.release(first.id)
    assert runs(target.roots[0].pid)


def test_the_agent_does_not_freeze_itself_or_its_parents(here: Containments) -> None:
    parent = read_process(os.getppid())
    assert parent is not None
    with pytest.raises(ProtectedProcessError):
        freeze(here, Target("w", 1, (parent.id,)))
    assert here.list() == ()


def test_the_first_process_is_never_touched(here: Containments) -> None:
    first = read_process(1)
    assert first is not None
    with pytest.raises(ProtectedProcessError):
        freeze(here, Target("w", 1, (first.id,)))


def test_a_kernel_thread_is_never_touched(here: Containments) -> None:
    kthreadd = read_process(2)
    if kthreadd is None or not kthreadd.kernel:
        pytest.skip("this process namespace shows no kernel threads")
    with pytest.raises(ProtectedProcessError):
        freeze(here, Target("w", 1, (kthreadd.id,)))


def test_after_three_containments_the_breaker_stops_the_fourth(
    tmp_path: Path, start: Start
) -> None:
    here = Containments(tmp_path, None)
    for number in range(1, 4):
        freeze(here, start("sleep", "60", workload_id=number))
    assert here.breaker_open()
    fourth = start("sleep", "60", workload_id=4)
    with pytest.raises(BreakerOpenError) as refused:
        Containments(tmp_path, None).contain(fourth, Step.FREEZE, 60, "a test", "tester")
    assert refused.value.exit_code == 6
    assert runs(fourth.roots[0].pid)
    done = here.contain(fourth, Step.FREEZE, 60, "a test", "tester", force=True)
    assert done.state is State.DONE
    here.release_all()


def test_without_the_kernel_a_network_containment_is_refused(
    here: Containments, start: Start
) -> None:
    with pytest.raises(SwitchError):
        here.contain(start("sleep", "60"), Step.CONTAIN, 60, "a test", "tester")
    assert here.list() == ()


def test_alerting_is_nothing_that_is_done_to_a_workload(here: Containments, start: Start) -> None:
    with pytest.raises(RefusedError):
        here.contain(start("sleep", "60"), Step.ALERT, 60, "a test", "tester")
