"""Host-side sources over the processes that really run here."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collectors.engines import ConfiguredWorkload, Rulebook
from collectors.memory import MemoryReader
from collectors.own_cgroup import OwnCgroup
from collectors.processes import Process, snapshot
from collectors.procfs import Listener
from probes.holding import cgroup_root

pytestmark = pytest.mark.host

READY_S = 20.0
MIB = 1 << 20
SECOND_NS = 1_000_000_000

# A server as small as one can be: loads a library it is given, listens, says so, waits.
SERVER = """
import ctypes, socket, sys
library, port = sys.argv[1], int(sys.argv[sys.argv.index("--port") + 1])
if library != "-":
    ctypes.CDLL(library)
listener = socket.create_server(("127.0.0.1", port))
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def running(*command: str | Path) -> Iterator[int]:
    """Run a program that prints a line when ready and ends with its input."""
    child = subprocess.Popen(
        [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline()
        yield child.pid
    finally:
        child.communicate(timeout=READY_S)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """A script by the name of a web server."""
    script = tmp_path / "uvicorn"
    script.write_text(SERVER)
    return script


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A shared library by the name of an inference runtime."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build a library with")
    library = tmp_path / "libonnxruntime.so.1.32"
    source = tmp_path / "runtime.c"
    source.write_text("int answer(void) { return 42; }\n")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def own(pid: int) -> Process:
    process = snapshot().get(pid)
    assert process is not None
    return process


def test_this_process_is_described_as_it_knows_itself() -> None:
    me = own(os.getpid())
    exe = Path(sys.executable).resolve()
    assert me.exe == str(exe)
    assert me.exe_id == (exe.stat().st_dev, exe.stat().st_ino)
    assert me.cmdline == tuple(sys.orig_argv)
    assert (me.ppid, me.uid) == (os.getppid(), os.getuid())
    assert any(library.name.startswith("libc.so") for library in me.libraries)
    age_s = (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - me.start_time_ns) / 1e9
    assert 0 < age_s < 3600


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_a_listening_socket_leads_to_its_process(
    family: socket.AddressFamily, address: str
) -> None:
    try:
        listener = socket.create_server((address, 0), family=family)
    except OSError:
        pytest.skip(f"this host has no address {address}")
    with listener:
        port = listener.getsockname()[1]
        protocol = "tcp" if family == socket.AF_INET else "tcp6"
        assert Listener(protocol, address, port) in own(os.getpid()).listeners
        assert not own(os.getppid()).ports & {port}


def test_a_server_is_recognised_by_the_runtime_it_maps(server: Path, runtime: Path) -> None:
    port = free_port()
    with running(sys.executable, server, runtime, "--port", str(port)) as pid:
        found = [w for w in Rulebook.load().recognise(snapshot()) if pid in w.pids]
    assert [(w.name, w.engine) for w in found] == [(f"onnxruntime-{port}", "onnxruntime")]


def test_a_server_without_a_runtime_is_not_recognised_unless_configured(server: Path) -> None:
    port = free_port()
    rules = Rulebook.load()
    rule = ConfiguredWorkload("embedder", {"cmdline": "uvicorn .*--port", "port": port})
    with running(sys.executable, server, "-", "--port", str(port)) as pid:
        assert not any(pid in workload.pids for workload in rules.recognise(snapshot()))
        found = [w for w in rules.recognise(snapshot(), [rule]) if pid in w.pids]
    assert [(w.name, w.engine, w.roots) for w in found] == [("embedder", "generic", (pid,))]


def test_the_executable_counts_whatever_the_process_calls_itself(tmp_path: Path) -> None:
    exe = tmp_path / "llama-server"
    shutil.copy("/bin/cat", exe)
    child = subprocess.Popen(["kworker/0:0"], executable=exe, stdin=subprocess.PIPE)
    try:
        found = [w for w in Rulebook.load().recognise(snapshot()) if child.pid in w.pids]
    finally:
        child.communicate(timeout=READY_S)
    assert [w.engine for w in found] == ["llama-cpp"]


def test_memory_follows_what_a_process_touches() -> None:
    reader = MemoryReader()
    before = reader.read([os.getpid()], time.monotonic_ns())
    touched = bytearray(64 * MIB)
    touched[:: os.sysconf("SC_PAGE_SIZE")] = b"x" * len(touched[:: os.sysconf("SC_PAGE_SIZE")])
    after = reader.read([os.getpid()], time.monotonic_ns())
    assert after["rss_bytes"] - before["rss_bytes"] > 48 * MIB
    assert after["minor_faults"] > 0
    assert after["cpu_percent"] > 0
    assert after["pss_bytes"] > 0
    assert after["open_fds"] >= 3


def test_pressure_of_a_control_group_of_its_own_is_read() -> None:
    if not Path("/proc/pressure").exists():
        pytest.skip("no pressure here (CONFIG_PSI, psi=1)")
    group = cgroup_root() / f"inferward-test-{os.getpid()}"
    group.mkdir()
    try:
        with running("sh", "-c", "echo ready; read line") as pid:
            (group / "cgroup.procs").write_text(str(pid))
            readings = OwnCgroup().read([pid], SECOND_NS)
            assert readings["cpu_pressure_some"] >= 0.0
            assert OwnCgroup().read([pid, os.getpid()], SECOND_NS) == {}
    finally:
        group.rmdir()


def test_a_control_group_that_is_shared_is_not_read() -> None:
    assert OwnCgroup().read([os.getpid()], SECOND_NS) == {}


def test_a_snapshot_stays_cheap() -> None:
    snapshot()
    start = time.process_time()
    table = snapshot()
    spent_s = time.process_time() - start
    # 20 ms for 200 processes, doubled for a busy host.
    assert spent_s < 0.040 * max(1.0, len(table) / 200)


def test_a_second_recognition_reads_no_maps_again() -> None:
    rules = Rulebook.load()
    rules.recognise(snapshot())
    table = snapshot()
    rules.recognise(table)
    reread = [process for process in table if "mapped" in vars(process)]
    young = [process for process in table if process.start_time_ns > table.time_ns - 10_000_000_000]
    assert len(reread) <= len(young)
