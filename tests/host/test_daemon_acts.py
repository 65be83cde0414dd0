"""One server that is made to disguise itself, gain rights, crash, and reach for its neighbours."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.daemons import Daemon, Server, grave, rank, wait_for
from tests.host.groups import small_memory

pytestmark = pytest.mark.timeout(120)

MEDIUM, HIGH, CRITICAL = 2, 3, 4
NOBODY = 65534

NAMED = "ctypes.CDLL(None).prctl(15, {name!r}, 0, 0, 0)"
CHILD = """
child = os.fork()
if child == 0:
    {deed}
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    daemon = Daemon()
    try:
        yield daemon
    finally:
        daemon.close()


@pytest.fixture(scope="module")
def server(daemon: Daemon) -> Iterator[Server]:
    server = Server(daemon.at / "actor")
    try:
        daemon.configure(server.rule("alert")).start()
        server.start()
        server.do(NAMED.format(name=b"worker-1"))
        server.do(CHILD.format(deed="pass"))
        wait_for(lambda: daemon.workload("actor").get("state") == "guarding", 90.0)
        yield server
    finally:
        server.stop()


def test_the_ordinary_names_of_a_pool_stay_low(daemon: Daemon, server: Server) -> None:
    for name in (b"worker-2", b"pool-17", b"VLLM::EngineCor", b"gunicorn: work"):
        server.do(NAMED.format(name=name))
    time.sleep(1.0)
    assert grave(daemon.verdicts("actor")) == []


def test_a_child_that_gives_up_its_rights_stays_below_high(daemon: Daemon, server: Server) -> None:
    since = time.monotonic_ns()
    server.do(CHILD.format(deed=f"os.setresgid(*[{NOBODY}] * 3); os.setresuid(*[{NOBODY}] * 3)"))
    time.sleep(1.0)
    new = [n for v in daemon.verdicts("actor") for n in v["novel"] if n["time_ns"] >= since]
    told = {n["item"]: n["level"] for n in new if n["kind"] == "capability"}
    assert set(told.values()) <= {"low", "medium"}
    assert told[f"uid 0 -> {NOBODY}, capabilities -all"] == "low"


def test_a_thread_that_calls_itself_the_kernels_is_told(daemon: Daemon, server: Server) -> None:
    server.do(NAMED.format(name=b"kworker/0:0"))
    verdict = daemon.told("actor", "set-name kworker/0:0")
    assert rank(verdict) >= HIGH
    assert "took the name kworker/0:0" in verdict["summary"]
    assert "T1036.004" in verdict["techniques"]


def test_a_thread_that_calls_itself_a_service_is_told(daemon: Daemon, server: Server) -> None:
    server.do(NAMED.format(name=b"sshd"))
    assert rank(daemon.told("actor", "set-name sshd")) >= HIGH


def test_a_child_that_gains_rights_by_a_program_is_told(daemon: Daemon, server: Server) -> None:
    folder = Path("/tmp") / f"{daemon.at.name}-setuid"
    folder.mkdir(mode=0o755)
    try:
        helper = folder / "helper"
        shutil.copy("/bin/true", helper)
        helper.chmod(0o4755)
        deed = f"os.setresuid(*[{NOBODY}] * 3); os.execv({str(helper)!r}, ['helper'])"
        server.do(CHILD.format(deed=deed))
        verdict = daemon.told("actor", f"uid {NOBODY} -> 0, capabilities +all")
    finally:
        shutil.rmtree(folder)
    assert rank(verdict) >= HIGH
    (gain,) = [n for n in verdict["novel"] if "+all" in n["item"]]
    assert (gain["kind"], gain["sensitive"], gain["level"]) == ("capability", True, "high")
    assert gain["role"] == "unknown-child"
    assert verdict["process"]["role"]
    explained = daemon.command("explain", verdict["id"]).stdout
    assert f"{gain['item']}, by the unknown-child process {gain['pid']}" in explained


def test_another_namespace_is_told(daemon: Daemon, server: Server) -> None:
    server.do(CHILD.format(deed="ctypes.CDLL(None).unshare(0x04000000)"))
    verdict = daemon.told("actor", "namespace uts")
    assert rank(verdict) == CRITICAL


def test_a_neighbour_that_is_ended_is_told(daemon: Daemon, server: Server) -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as neighbour:
        program = Path(f"/proc/{neighbour.pid}/exe").readlink()
        server.do(f"os.kill({neighbour.pid}, 9)")
        neighbour.wait(10)
    assert rank(daemon.told("actor", f"kill SIGKILL -> {program}")) >= HIGH


def test_a_program_that_is_deleted_while_it_runs_is_told(daemon: Daemon, server: Server) -> None:
    program = daemon.at / "sleeper"
    shutil.copy("/bin/sleep", program)
    server.do(f"subprocess.Popen([{str(program)!r}, '60']); answer = 1")
    daemon.told("actor", str(program))
    program.unlink()
    since = time.monotonic_ns()
    verdict = daemon.told("actor", str(program), since)
    assert rank(verdict) >= MEDIUM


def test_arguments_of_a_kernel_thread_are_told_later(daemon: Daemon, server: Server) -> None:
    disguised = "subprocess.Popen(['[kworker/0:1]', '60'], executable='/bin/sleep'); answer = 1"
    since = time.monotonic_ns()
    server.do(disguised)
    program = str(Path("/bin/sleep").resolve())
    verdict = daemon.told("actor", program, since)
    reasons = [n["reason"] for n in verdict["novel"] if n["item"] == program]
    assert any("thread of the kernel" in reason for reason in reasons)


def test_a_crash_is_told_by_its_signal(daemon: Daemon, server: Server) -> None:
    server.do(CHILD.format(deed="os.kill(os.getpid(), 11)"))
    verdict = daemon.told("actor", "crash SIGSEGV")
    assert rank(verdict) >= MEDIUM
    assert any(r["kind"] == "exit" and r["item"] == "crash SIGSEGV" for r in verdict["records"])


def test_a_child_ended_for_want_of_memory_is_told(daemon: Daemon, server: Server) -> None:
    with small_memory() as group:
        enters = f"open({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))"
        server.do(CHILD.format(deed=f"{enters}; bytearray(b'x') * (64 << 20)"))
        verdict = daemon.told("actor", "out of memory")
    assert rank(verdict) >= MEDIUM
    assert any("memory ran out" in n["reason"] for n in verdict["novel"])
