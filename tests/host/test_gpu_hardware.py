"""Known work is counted exactly: over a driver built here, and on a real GPU where there is one."""

import ctypes.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent.doctor.host import gpu
from collectors import cuda, elf
from collectors.gpu import GpuReader, GpuState
from collectors.processes import snapshot
from probes.cuda import BY_NAME, CudaProbes
from tests.host import drivers
from tests.host.conftest import PINS
from tests.host.eyes import Eyes, Gated

COUNT = 1000
NO_GPU = 77


@pytest.fixture(scope="module")
def probes(eyes: Eyes) -> Iterator[CudaProbes]:
    loaded = CudaProbes(PINS, eyes.sensor.schema)
    yield loaded
    loaded.close()


def library(name: str, directory: Path) -> str:
    """The driver's library to use; skips with the reason where this host has no GPU."""
    if name == "fake":
        return str(drivers.build(directory)[0])
    if ctypes.util.find_library("cuda") is None:
        pytest.skip("no GPU: the driver's libcuda.so.1 is not on this host")
    return "libcuda.so.1"


@pytest.mark.parametrize("name", ["fake", "real"])
def test_known_work_is_counted_exactly(
    eyes: Eyes, probes: CudaProbes, name: str, tmp_path: Path
) -> None:
    found, program = library(name, tmp_path), tmp_path / "real"
    line: list[str | Path] = ["gcc", "-O1", "-Wall", "-Wextra", "-o", program]
    subprocess.run([*line, drivers.GPU / "real.c"], check=True)
    tried = subprocess.run([program, found, "0"], input="\n\n", text=True, check=False)
    if tried.returncode == NO_GPU:
        pytest.skip("no GPU: the driver's library is here and finds none")
    with ExitStack() as stack:
        gated = Gated([program, found, str(COUNT)], eyes.workload())
        stack.callback(gated.process.communicate)
        stack.callback(gated.process.kill)
        eyes.watch(gated.pid, gated.number)
        ((file, path),) = cuda.drivers(gated.pid)[0].items()
        fd = cuda.opened(gated.pid, file, path)
        assert fd is not None
        stack.callback(os.close, fd)
        for each, place in elf.functions(fd, BY_NAME).items():
            for link in probes.attach(fd, place, BY_NAME[each]):
                stack.callback(link.close)
        gated.tell()
        sys.stdout.write(f"GPU: {gated.hear()}\n")
        seen = eyes.seen(gated.number)
        held = probes.held_bytes()[gated.number]
    assert seen.totals["COUNT_GPU_LAUNCHES"] == COUNT
    assert seen.totals["COUNT_GPU_SENT_BYTES"] == COUNT * 1000
    assert seen.totals["COUNT_GPU_FETCHED_BYTES"] == COUNT * 4096
    assert seen.totals["COUNT_GPU_CONTEXTS"] == seen.totals["COUNT_GPU_MODULES"] == 1
    assert held == 1 << 20
    assert not +seen.losses


def test_what_this_host_says_of_its_gpu_is_one_account() -> None:
    """The reader and the doctor agree, with a GPU and without one."""
    reader = GpuReader.open()
    reading = reader.read(snapshot())
    reader.close()
    finding = gpu(sorted(Path("/dev").glob("nvidia[0-9]*")))
    if reading.state is GpuState.ABSENT:
        assert finding.words == "none on this host; nothing is missing"
        pytest.skip(f"no GPU, which is a normal state: {reading.words}")
    assert reading.state is GpuState.READY
    assert all(device.memory_total_bytes for device in reading.devices)
    assert reader.counts.failed == 0
