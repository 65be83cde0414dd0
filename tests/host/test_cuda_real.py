"""The real driver's and runtime's libraries, as Debian packs them; there need be no GPU."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from collectors import cuda, elf
from probes.cuda import BY_NAME, FUNCTIONS, CudaProbes
from tests.host import drivers
from tests.host.conftest import PINS
from tests.host.eyes import Eyes, Gated

MOVES = re.compile(
    r"^cu(?:Memcpy|Launch|Graph(?:Launch|Upload)|MemAlloc|MemCreate|MemFree|MemRelease|ModuleLoad"
    r"|LibraryLoad|LinkAdd|Ipc|MemExport|MemImport|MemPool(?:Export|Import)|CtxCreate"
    r"|DevicePrimaryCtxRetain|MemGetHandle|ImportExternal|GetProcAddress|MemHost|Array(?:3D)?Create"
    r"|MipmappedArrayCreate)"
)
"""What a function that matters is called."""

NOT_COUNTED = {
    "within GPUs": r"cuMemcpy(?:AtoA|AtoD|DtoA|DtoD|Peer|3DPeer)\w*",
    "addresses of 32 bits, for which no GPU of today is small enough": (
        r"cuMemcpy(?:AtoH|DtoH|HtoA|HtoD|2D|3D)(?:Async|Unaligned)*|cuMem(?:Alloc|AllocPitch|Free)"
        r"|cuMemHostGetDevicePointer|cuArray(?:3D)?Create|cuMemHostRegister|cuMemAllocHost"
    ),
    "memory of the host": r"cuMem(?:AllocHost_v2|FreeHost|Host\w+)",
    "textures, which are no memory that inference holds": (
        r"cuArray(?:3D)?Create_v2|cuMipmappedArrayCreate"
    ),
    "no work of the GPU": r"cuLaunchHostFunc(?:_ptsz)?|cuGraphUpload(?:_ptsz)?",
    "handles that are given back": r"cuIpcCloseMemHandle",
    "a signal between programs, without memory": r"cuImportExternalSemaphore",
}
"""By reason."""

CALLS = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
print("ready", flush=True); sys.stdin.readline()
for _ in range(1000):
    library.cuLaunchKernel(*[None] * 11)
print("done", flush=True); sys.stdin.readline()
"""


def test_every_function_that_moves_something_is_attached_to_or_says_why_not() -> None:
    names = drivers.exported(drivers.real("libcuda.so"))
    reasons = re.compile("|".join(NOT_COUNTED.values()))
    unknown = {
        name for name in names - BY_NAME.keys() if MOVES.match(name) and not reasons.fullmatch(name)
    }
    assert not unknown


def test_the_functions_are_found_as_binutils_find_them() -> None:
    library = drivers.real("libcuda.so")
    fd = os.open(library, os.O_RDONLY)
    try:
        found = elf.functions(fd, BY_NAME)
    finally:
        os.close(fd)
    assert found.keys() == drivers.exported(library) & BY_NAME.keys()
    later = {"cuCtxCreate_v4", "cuMemcpyBatchAsync", "cuMemcpyBatchAsync_v2"}  # than this driver
    assert {one.name for one in FUNCTIONS} - found.keys() == later
    nm = subprocess.run(["nm", "-D", library], capture_output=True, text=True, check=True).stdout
    places = {words[-1]: words[0] for row in nm.splitlines() if (words := row.split())}
    assert all(int(places[name], 16) == place for name, place in found.items())


def test_the_runtime_has_no_way_of_its_own() -> None:
    """It opens the driver's library and asks it for functions: to count both would be twice."""
    text = drivers.real("libcudart.so").read_bytes()
    names = {name.decode() for name in re.findall(rb"\0(cu[A-Z]\w+)(?=\0)", text)}
    assert b"libcuda.so.1\0" in text
    assert b"/dev/nvidia" not in text
    assert {"cuGetProcAddress", "cuLaunchKernel", "cuMemcpyHtoDAsync_v2"} <= names
    reasons = re.compile("|".join(NOT_COUNTED.values()))
    asked = {name for name in names if MOVES.match(name) and not reasons.fullmatch(name)}
    assert not asked - BY_NAME.keys()


@pytest.fixture
def probes(eyes: Eyes) -> Iterator[CudaProbes]:
    loaded = CudaProbes(PINS, eyes.sensor.schema)
    yield loaded
    loaded.close()


def test_1000_launches_of_the_real_library_read_1000(eyes: Eyes, probes: CudaProbes) -> None:
    """Each is refused, as nothing was initialised; the call is what is counted."""
    library: Path = drivers.real("libcuda.so")
    with ExitStack() as stack:
        gated = Gated([sys.executable, "-ISc", CALLS, library], eyes.workload())
        stack.callback(gated.process.communicate)
        stack.callback(gated.process.kill)
        eyes.watch(gated.pid, gated.number)
        ((file, path),) = cuda.drivers(gated.pid)[0].items()
        fd = cuda.opened(gated.pid, file, path)
        assert fd is not None
        stack.callback(os.close, fd)
        for name, place in elf.functions(fd, BY_NAME).items():
            for link in probes.attach(fd, place, BY_NAME[name]):
                stack.callback(link.close)
        gated.tell()
        assert gated.hear() == "done"
        seen = eyes.seen(gated.number)
    assert seen.totals["COUNT_GPU_LAUNCHES"] == 1000
    assert not +seen.losses


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="this host has a driver")
def test_the_real_nvml_without_a_kernel_driver_is_an_absent_gpu() -> None:
    library = drivers.real("libnvidia-ml.so")
    link = library.with_name("libnvidia-ml.so.1")
    code = "from collectors.gpu import GpuReader\nr = GpuReader.open()\nprint(r.state, r.words)"
    # The real library makes its device file where it is root and finds none: here, nobody's.
    room = 'mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", room, "sh", sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"LD_LIBRARY_PATH": str(link.parent)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert not Path("/dev/nvidiactl").exists()
    assert done.stdout == "absent The NVIDIA kernel driver is not loaded.\n"


def test_what_is_asked_of_nvml_is_there() -> None:
    source = (Path(__file__).parent.parent.parent / "collectors" / "gpu.py").read_text()
    asked = set(re.findall(r"\bnvml\.(nvml[A-Z]\w+)", source.replace("self._nvml.", "nvml.")))
    wrapped = {"nvmlInit": "nvmlInit_v2", "nvmlDeviceGetCount": "nvmlDeviceGetCount_v2"}
    wrapped |= {"nvmlDeviceGetHandleByIndex": "nvmlDeviceGetHandleByIndex_v2"}
    names = drivers.exported(drivers.real("libnvidia-ml.so"))
    assert len(asked) > 5
    assert {wrapped.get(name, name) for name in asked} <= names
