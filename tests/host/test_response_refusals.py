"""Containment where the host refuses: a full disk, a cgroup that goes, a protected process."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.response.breaker import Breaker
from agent.response.cgroups import mount_point
from agent.response.containment import ProcessId, State, Step, Target
from agent.response.containments import Containments
from agent.response.guard import ProtectedProcessError
from agent.response.journal import JournalError
from agent.response.processes import exists, held, read_process

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

UNLIMITED = Breaker(limit=1_000_000)

Start = Callable[..., Target]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def begin(*command: str) -> Target:
        process = subprocess.Popen(command, start_new_session=True)
        started.append(process)
        return Target("w", 1, (identity(process.pid),))

    yield begin
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", path], check=False)
    if mounted.returncode:
        pytest.skip("this host mounts no tmpfs for us")
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


def identity(pid: int) -> ProcessId:
    found = read_process(pid)
    assert found is not None
    return found.id


def fill(disk: Path) -> None:
    with (disk / "filling").open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return


def wait_for(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    give_up = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def test_a_full_disk_stops_no_containment(small_disk: Path, start: Start) -> None:
    Containments(small_disk, None).recover()
    fill(small_disk)
    target = start("sleep", "60")
    here = Containments(small_disk, None, breaker=UNLIMITED)
    for _ in range(20):
        done = here.contain(target, Step.FREEZE, 60, "a test", "tester")
        assert held(target.roots[0].pid)
        here.release(done.id)
    assert not held(target.roots[0].pid)
    assert here.set_aside == ()


def test_on_a_disk_that_was_always_full_nothing_is_done_unrecorded(
    small_disk: Path, start: Start
) -> None:
    fill(small_disk)
    target = start("sleep", "60")
    with pytest.raises(JournalError):
        Containments(small_disk, None).contain(target, Step.FREEZE, 60, "a test", "tester")
    assert not held(target.roots[0].pid)


def test_the_journal_is_compacted_and_live_containments_are_carried_on(
    tmp_path: Path, start: Start
) -> None:
    target = start("sleep", "60")
    here = Containments(tmp_path, None, breaker=UNLIMITED)
    kept = here.contain(target, Step.FREEZE, 600, "a test", "tester")
    before = (tmp_path / "journal").stat().st_ino
    here.recover()
    assert (tmp_path / "journal").stat().st_ino != before
    (live,) = Containments(tmp_path, None).live()
    assert (live.id, live.until_ns, live.state) == (kept.id, kept.until_ns, State.DONE)
    Containments(tmp_path, None).release(kept.id)
    assert not held(target.roots[0].pid)


def test_a_cgroup_that_goes_away_is_replaced_by_signals(tmp_path: Path, start: Start) -> None:
    mount = mount_point(Path("/proc/self/mountinfo").read_text())
    if mount is None:
        pytest.skip("cgroup v2 is not mounted")
    group = mount / f"inferward-test-{os.getpid()}-gone"
    group.mkdir()
    target = start("sleep", "60")
    (group / "cgroup.procs").write_text(str(target.roots[0].pid))

    def leave(point: str) -> None:
        if point == "intent":
            (mount / "cgroup.procs").write_text(str(target.roots[0].pid))
            group.rmdir()

    here = Containments(tmp_path, None, breaker=UNLIMITED, fault=leave)
    done = here.contain(target, Step.FREEZE, 60, "a test", "tester")
    assert (done.how, done.running) == ("signals", ())
    here.release(done.id)
    assert not held(target.roots[0].pid)


def test_recovery_stops_again_what_somebody_continued(tmp_path: Path, start: Start) -> None:
    target = start("sleep", "60")
    here = Containments(tmp_path, None, breaker=UNLIMITED)
    done = here.contain(target, Step.FREEZE, 60, "a test", "tester")
    assert done.running == ()
    os.kill(target.roots[0].pid, signal.SIGCONT)
    wait_for(lambda: not held(target.roots[0].pid))
    (again,) = Containments(tmp_path, None).recover()
    assert again.id == done.id
    assert held(target.roots[0].pid)
    here.release_all()


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[Path]:
    """A program that sleeps, and is called what the host's own ssh server is called."""
    path = Path("/usr/local/sbin/sshd")
    if path.exists():
        pytest.skip(f"{path} exists")
    shutil.copy(shutil.which("sleep") or "", path)
    yield path
    path.unlink()


def test_a_rule_that_matched_the_ssh_server_itself_is_refused(
    tmp_path: Path, start: Start, impostor: Path
) -> None:
    target = start(str(impostor), "60")
    wait_for(lambda: Path(f"/proc/{target.roots[0].pid}/exe").readlink() == impostor)
    with pytest.raises(ProtectedProcessError) as refused:
        Containments(tmp_path, None).contain(target, Step.FREEZE, 60, "a test", "tester")
    assert refused.value.exit_code == 6
    assert not held(target.roots[0].pid)


@pytest.mark.parametrize("name", ["containerd", "dockerd", "runc", "kubelet", "systemd-journald"])
def test_a_rule_that_matched_what_the_host_lives_by_is_refused(
    tmp_path: Path, start: Start, name: str
) -> None:
    path = Path("/usr/local/sbin") / name
    if path.exists():
        pytest.skip(f"{path} exists")
    shutil.copy(shutil.which("sleep") or "", path)
    try:
        target = start(str(path), "60")
        wait_for(lambda: Path(f"/proc/{target.roots[0].pid}/exe").readlink() == path)
        for step in (Step.FREEZE, Step.KILL):
            with pytest.raises(ProtectedProcessError):
                Containments(tmp_path, None).contain(target, step, 60, "a test", "tester")
        assert not held(target.roots[0].pid)
        assert exists(target.roots[0])
    finally:
        path.unlink()


@pytest.mark.parametrize("unit", ["ssh.service", "systemd-logind.service", "inferward.service"])
def test_what_runs_in_a_unit_of_the_hosts_own_is_refused(
    tmp_path: Path, start: Start, unit: str
) -> None:
    mount = mount_point(Path("/proc/self/mountinfo").read_text())
    if mount is None:
        pytest.skip("cgroup v2 is not mounted")
    group = mount / f"inferward-test-{os.getpid()}-units"
    (group / unit).mkdir(parents=True)
    try:
        target = start("sleep", "60")
        (group / unit / "cgroup.procs").write_text(str(target.roots[0].pid))
        with pytest.raises(ProtectedProcessError) as refused:
            Containments(tmp_path, None).contain(target, Step.FREEZE, 60, "a test", "tester")
        assert unit in str(refused.value)
        assert not held(target.roots[0].pid)
        (mount / "cgroup.procs").write_text(str(target.roots[0].pid))
    finally:
        (group / unit).rmdir()
        group.rmdir()


def test_an_ssh_server_that_the_workload_started_gets_no_licence(
    tmp_path: Path, start: Start, impostor: Path
) -> None:
    target = start(sys.executable, "-c", f"import subprocess; subprocess.run(['{impostor}', '60'])")
    here = Containments(tmp_path, None, breaker=UNLIMITED)
    root = target.roots[0].pid
    wait_for(lambda: bool(Path(f"/proc/{root}/task/{root}/children").read_text()))
    child = int(Path(f"/proc/{root}/task/{root}/children").read_text().split()[0])
    wait_for(lambda: Path(f"/proc/{child}/exe").readlink() == impostor)
    done = here.contain(target, Step.FREEZE, 60, "a test", "tester")
    assert held(child)
    here.contain(target, Step.KILL, None, "a test", "tester")
    assert not any(exists(process) for process in done.processes)
