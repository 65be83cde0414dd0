"""A guarded server's GPU over a driver built here: what it never did with it is a verdict."""

import hashlib
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host import drivers
from tests.host.daemons import Daemon, Server, Verdict, grave, rank, wait_for

pytestmark = pytest.mark.timeout(200)

MEDIUM, HIGH = 2, 3
UVM, SPARE = Path("/dev/nvidia-uvm"), Path("/dev/nvidia7")
USE = """
import __main__
gpu = __main__.gpu = ctypes.CDLL(str(home / "libcuda.so.1"))
host, device = ctypes.create_string_buffer(1 << 20), ctypes.c_uint64()
__main__.keep = host, os.open("/dev/nvidia-uvm", os.O_RDWR)
time.sleep(2.0)  # until it is attached to: what was allocated before is not counted
gpu.cuMemAlloc_v2(ctypes.byref(device), ctypes.c_size_t(1 << 20))
__main__.device = device
answered = __main__.Obedient.do_GET
def use(self):
    for _ in range(4):
        gpu.cuLaunchKernel(None)
    gpu.cuMemcpyDtoH_v2(host, device, ctypes.c_size_t(256))
    answered(self)
__main__.Obedient.do_GET = use
answer = gpu.cuModuleLoadData(ctypes.byref(ctypes.c_void_p()), b"//known" + bytes(2000))
"""
LOAD = """
import __main__
code = __main__.code = b"\\x7fELF" + bytes(range(256)) * 8  # read a moment after the call
answer = __main__.gpu.cuModuleLoadData(ctypes.byref(ctypes.c_void_p()), code)
"""
STEAL = """
import __main__
for _ in range(64):
    __main__.gpu.cuMemcpyDtoH_v2(__main__.keep[0], __main__.device, ctypes.c_size_t(1 << 20))
answer = 1
"""
MINE = """
import __main__, threading
def mine():
    until = time.monotonic() + 9
    while time.monotonic() < until:
        __main__.gpu.cuLaunchKernel(None)
        time.sleep(0.002)
threading.Thread(target=mine).start()
answer = 1
"""
CALL = """
import contextlib, fcntl, threading
def call():
    gpu, until = os.open("/dev/null", os.O_RDWR), time.monotonic() + 20
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            fcntl.ioctl(gpu, 0x4600)
        time.sleep(0.002)
threading.Thread(target=call).start()
"""
KEEP = """
import __main__
more = ctypes.c_uint64()
answer = __main__.gpu.cuMemAlloc_v2(ctypes.byref(more), ctypes.c_size_t(200 << 20))
"""


def _node(path: Path) -> bool:
    """Make a device file of that name that is /dev/null, where there is none."""
    if path.exists():
        return False
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    return True


@pytest.fixture(scope="module")
def scene() -> Iterator[tuple[Daemon, Server]]:
    """A guarding daemon; its server used the GPU for every answer while it was learned."""
    made = [path for path in (UVM, SPARE) if _node(path)]
    if len(made) < 2:
        for path in made:
            path.unlink()
        pytest.skip("this host has device files of a GPU, which this test would use")
    daemon = Daemon()
    server = Server(daemon.at / "served")
    try:
        server.home.mkdir()
        shutil.move(drivers.build(daemon.at)[0], server.home)
        gates = "learning = { min_windows = 32, quiet_s = 2, shadow_s = 3 }\n"
        daemon.configure(server.rule("alert") + gates).start()
        server.start()
        wait_for(lambda: daemon.workload(server.name))
        assert server.do(USE) == 0
        wait_for(lambda: daemon.workload(server.name).get("state") == "guarding", 90.0)
        yield daemon, server
    finally:
        server.stop()
        daemon.close()
        for path in made:
            path.unlink()


def told(daemon: Daemon, server: Server, item: str, since_ns: int, within_s: float) -> Verdict:
    def look() -> Verdict:
        for verdict in daemon.verdicts(server.name):
            if any(
                n["item"].startswith(item) and n["time_ns"] >= since_ns for n in verdict["novel"]
            ):
                return verdict
        return {}  # fmt: skip

    return wait_for(look, within_s)


def test_what_it_does_for_requests_is_counted_and_no_verdict(scene: tuple[Daemon, Server]) -> None:
    daemon, server = scene
    assert grave(daemon.verdicts(server.name)) == []
    readings = wait_for(lambda: daemon.workload(server.name)["readings"])
    assert readings["gpu_launches"] > 0
    assert readings["gpu_held_bytes"] == 1 << 20
    assert "libcuda.so.1" in daemon.status()["gpu"]["driver calls"]


def test_code_never_loaded_before_is_told_with_its_digest(scene: tuple[Daemon, Server]) -> None:
    daemon, server = scene
    since_ns = time.monotonic_ns()
    assert server.do(LOAD) == 0
    verdict = told(daemon, server, "load cubin sha256:", since_ns, 15.0)
    assert rank(verdict) >= MEDIUM
    assert "loaded GPU code: cubin sha256:" in verdict["summary"]


def test_more_from_the_gpu_than_replies_explain_is_a_model_that_leaves(
    scene: tuple[Daemon, Server],
) -> None:
    daemon, server = scene
    since_ns = time.monotonic_ns()
    server.do(STEAL)
    verdict = told(daemon, server, "gpu-copies-without-replies", since_ns, 15.0)
    assert rank(verdict) >= HIGH
    assert "copied more from its GPU than its replies explain" in verdict["summary"]
    assert "AML.T0035" in verdict["techniques"]


def test_another_gpu_than_it_was_learned_to_use_is_high(scene: tuple[Daemon, Server]) -> None:
    daemon, server = scene
    since_ns = time.monotonic_ns()
    server.do(f"answer = os.open({str(SPARE)!r}, os.O_RDWR)")
    verdict = daemon.told(server.name, str(SPARE), since_ns)
    assert rank(verdict) >= HIGH
    assert "a GPU, which it did not use" in verdict["summary"]


def test_a_program_outside_that_opens_its_gpu_is_named(scene: tuple[Daemon, Server]) -> None:
    daemon, server = scene
    since_ns = time.monotonic_ns()
    subprocess.run(["/bin/dd", f"if={UVM}", "count=1", "of=/dev/null", "status=none"], check=True)
    verdict = daemon.told(server.name, str(UVM), since_ns)
    (item,) = [n for n in verdict["novel"] if n["item"] == str(UVM)]
    assert (item["kind"], item["level"]) == ("device", "high")
    assert "/dd (pid " in verdict["summary"]
    assert "used the device /dev/nvidia-uvm" in verdict["summary"]


def test_launches_without_requests_are_work_that_nobody_asked_for(
    scene: tuple[Daemon, Server],
) -> None:
    daemon, server = scene
    since_ns = time.monotonic_ns()
    server.rest()
    try:
        server.do(MINE)
        verdict = told(daemon, server, "gpu-work-without-requests", since_ns, 20.0)
    finally:
        server.resume()
    assert rank(verdict) >= MEDIUM
    assert "had its GPU work without being asked" in verdict["summary"]


def test_memory_that_does_not_come_back_is_told(scene: tuple[Daemon, Server]) -> None:
    daemon, server = scene
    since_ns = time.monotonic_ns()
    assert server.do(KEEP) == 0
    verdict = told(daemon, server, "gpu-memory-kept", since_ns, 60.0)
    assert rank(verdict) >= MEDIUM
    assert "keeps more GPU memory than it was learned to" in verdict["summary"]


def test_calls_to_a_driver_are_counted_where_nothing_else_of_a_gpu_is_seen(
    tmp_path: Path,
) -> None:
    """/dev/null has the number of a GPU's driver, in the daemon's own sight alone."""
    listed = Path("/proc/devices").read_text().replace("\n  1 mem\n", "\n  1 nvidia\n")
    (tmp_path / "devices").write_text(listed)
    bound = f'mount --bind {tmp_path}/devices /proc/devices && exec "$@"'
    daemon = Daemon(before=("unshare", "--mount", "sh", "-c", bound, "sh"))
    server = Server(daemon.at / "served")
    try:
        daemon.configure(server.rule("alert")).start()
        server.start()
        wait_for(lambda: daemon.workload(server.name))
        assert wait_for(lambda: daemon.workload(server.name)["readings"])["gpu_calls"] == 0.0
        server.order(CALL)
        wait_for(lambda: daemon.workload(server.name)["readings"]["gpu_calls"] > 50)
        assert daemon.status()["gpu"]["device calls"] == "nvidia (major 1)"
        shown = daemon.json("top", "--once")["workloads"]
        (mine,) = (one for one in shown if one["name"] == server.name)
        assert mine["gpu_calls"] > 50
    finally:
        server.stop()
        daemon.close()


def test_a_library_beside_the_driver_s_that_is_not_its_package_s_is_told(tmp_path: Path) -> None:
    """dpkg's lists are others, in the daemon's own sight alone."""
    daemon = Daemon()
    server = Server(daemon.at / "served")
    lists = tmp_path / "info"
    lists.mkdir()
    daemon.before = ("unshare", "--mount", "sh", "-c",
                     f'mount --bind {lists} /var/lib/dpkg/info && exec "$@"', "sh")  # fmt: skip
    try:
        server.home.mkdir()
        built = Path(shutil.move(drivers.build(daemon.at)[0], server.home))
        for name, content in (("libnvidia-ml.so.1", "another"), ("libnvidia-nvvm.so.4", "")):
            beside = Path(shutil.copy(built, server.home / name))
            digest = hashlib.md5(content.encode() or beside.read_bytes(), usedforsecurity=False)
            package = name.partition(".")[0]
            (lists / f"{package}.list").write_text(f"{beside}\n")
            (lists / f"{package}.md5sums").write_text(f"{digest.hexdigest()}  {str(beside)[1:]}\n")
        daemon.configure(server.rule("alert")).start()
        server.start()
        wait_for(lambda: daemon.workload(server.name).get("state") == "guarding", 90.0)
        names = ("libcuda.so.1", "libnvidia-ml.so.1", "libnvidia-nvvm.so.4")
        loads = "; ".join(f"ctypes.CDLL(str(home / {name!r}))" for name in names)
        assert server.do(f"{loads}; answer = 1") == 1
        replaced = f"driver {server.home}/libnvidia-ml.so.1 is not as libnvidia-ml installed it"
        verdict = daemon.told(server.name, replaced)
        assert rank(verdict) >= HIGH
        assert not any("nvvm" in n["item"] for v in daemon.verdicts(server.name)
                       for n in v["novel"] if n["kind"] == "gpu")  # fmt: skip
        told = daemon.status()["gpu"]["driver calls"]
        assert "libnvidia-nvvm.so.4 (as libnvidia-nvvm has it)" in told
        assert "libcuda.so.1 (" in told
    finally:
        server.stop()
        daemon.close()


def test_launches_may_be_left_uncounted_and_are_no_reading_then() -> None:
    daemon = Daemon()
    server = Server(daemon.at / "served")
    try:
        server.home.mkdir()
        shutil.move(drivers.build(daemon.at)[0], server.home)
        daemon.configure("[gpu]\nlaunches = false", server.rule("alert")).start()
        server.start()
        wait_for(lambda: daemon.workload(server.name))
        assert server.do(USE.replace('os.open("/dev/nvidia-uvm", os.O_RDWR)', "0")) == 0

        def fetched() -> dict[str, float]:
            readings: dict[str, float] = daemon.workload(server.name)["readings"]
            return readings if readings.get("gpu_fetched_bytes") else {}

        assert "gpu_launches" not in wait_for(fetched)
    finally:
        server.stop()
        daemon.close()
