"""A freeze reaches who holds the GPU for the workload, wherever its parents are; nobody else."""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.response.processes import held, read_process
from tests.host.daemons import Daemon, Server, end, rank, wait_for

pytestmark = pytest.mark.timeout(200)

HIGH = 3
DEVICE = Path("/dev/nvidia-uvm")
HOLD = f"""
import os, time
device = os.open({str(DEVICE)!r}, os.O_RDWR)
while True:
    time.sleep(0.002)
"""
LEAVE = """
told, tell = os.pipe()
if os.fork() == 0:
    {apart}
    if os.fork() == 0:
        os.write(tell, b"%d" % os.getpid())
        os.closerange(3, 64)
        os.execv({program!r}, [{program!r}, "-c", {code!r}])
    os._exit(0)
os.wait()
answer = int(os.read(told, 16))
"""
SHELL = 'subprocess.Popen(["/bin/sh", "-c", "sleep 30; true"])'


@dataclass(frozen=True, slots=True)
class Scene:
    """A guarded server and two holders that left it: before the daemon began, and after."""

    daemon: Daemon
    server: Server
    early: int
    late: int

    @property
    def own(self) -> tuple[int, int, int]:
        """Who is to be held."""
        return self.server.pid, self.early, self.late


def leave(server: Server, apart: str) -> int:
    """Have the server start a holder of the GPU that outlives its parent; its pid."""
    pid: int = server.do(LEAVE.format(apart=apart, program=sys.executable, code=HOLD))
    server.strays.add(pid)
    wait_for(lambda: holds(pid))
    found = read_process(pid)
    assert found is not None
    assert found.parent != server.pid
    return pid


def holds(pid: int) -> bool:
    """Whether it has the device open; what is closed between the look and the question is not."""
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            if fd.readlink() == DEVICE:
                return True
    return False


@contextmanager
def stranger() -> Iterator[int]:
    """Somebody else's program on the same GPU and in the same cgroup."""
    with subprocess.Popen([sys.executable, "-c", HOLD], start_new_session=True) as process:
        try:
            wait_for(lambda: holds(process.pid))
            yield process.pid
        finally:
            end(process.pid)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    if DEVICE.exists():
        pytest.skip("this host has device files of a GPU, which this test would use")
    os.mknod(DEVICE, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    daemon = Daemon()
    server = Server(daemon.at / "gpu")
    try:
        server.start()
        early = leave(server, "pass")
        daemon.configure(server.rule("freeze")).start()
        wait_for(lambda: daemon.workload(server.name))
        late = leave(server, "os.setsid()")
        wait_for(lambda: daemon.workload(server.name).get("state") == "guarding", 90.0)
        yield Scene(daemon, server, early, late)
    finally:
        server.stop()
        daemon.close()
        DEVICE.unlink()


def test_who_left_it_is_frozen_with_it_and_given_back(scene: Scene) -> None:
    daemon, name = scene.daemon, scene.server.name
    scene.server.order(SHELL)
    one = wait_for(lambda: next((c for c in daemon.live(name) if c["state"] == "done"), {}))
    pids = {int(each.partition(":")[0]) for each in one["processes"]}
    assert pids >= set(scene.own)
    assert one["running"] == []
    assert all(held(pid, patient=True) for pid in scene.own)
    assert daemon.command("release", one["id"]).returncode == 0
    wait_for(lambda: not any(held(pid) for pid in scene.own))


def test_a_stranger_on_its_gpu_is_told_and_goes_on_while_it_is_frozen(scene: Scene) -> None:
    daemon, name, since_ns = scene.daemon, scene.server.name, time.monotonic_ns()
    with stranger() as pid:
        verdict = daemon.told(name, str(DEVICE), since_ns)
        assert rank(verdict) >= HIGH
        assert f"(pid {pid})" in verdict["summary"]
        assert verdict["response"]["containment"] == ""
        frozen = daemon.command("contain", name, "--level", "freeze", "--reason", "a test")
        assert frozen.returncode == 0
        (one,) = daemon.live(name)
        assert all(held(each, patient=True) for each in scene.own)
        assert pid not in {int(each.partition(":")[0]) for each in one["processes"]}
        assert not held(pid)
        assert daemon.command("release", one["id"]).returncode == 0
        wait_for(lambda: not any(held(each) for each in scene.own))
