"""Calls to the drivers of GPUs are counted by the device's number, and no other ioctl(2) is.

/dev/null and /dev/zero (major 1) stand in for device files of a GPU: they know no request.
"""

from collections.abc import Iterator

import pytest

from agent.daemon.gpu_calls import GpuCalls
from tests.host.eyes import Eyes

COUNT = 1000
CALL = """
import os, contextlib, fcntl, socket, tempfile
def call(fd, times):
    for _ in range(times):
        with contextlib.suppress(OSError): fcntl.ioctl(fd, 0x4600)
"""


@pytest.fixture
def gpu(eyes: Eyes) -> Iterator[GpuCalls]:
    """A host whose GPU has the major number 1."""
    calls = GpuCalls(eyes.sensor)
    calls.follow({1: "nvidia"})
    yield calls
    calls.follow({})


def counted(eyes: Eyes, script: str, *words: str) -> int:
    with eyes.python(f"{CALL}gate()\n{script}\nos._exit(0)", *words) as gated:
        gated.tell()
        gated.end()
    seen = eyes.seen(gated.number)
    assert not +seen.losses
    return seen.totals["COUNT_GPU_CALLS"]


def test_a_thousand_calls_read_a_thousand(eyes: Eyes, gpu: GpuCalls) -> None:
    assert counted(eyes, f"call(os.open('/dev/null', os.O_RDWR), {COUNT})") == COUNT


def test_a_node_of_another_name_is_the_same_device(
    eyes: Eyes, gpu: GpuCalls, tmp_path: str
) -> None:
    script = """
node = sys.argv[1] + "/renderer"
os.mknod(node, 0o600 | 0o020000, os.makedev(1, 5))
call(os.open(node, os.O_RDWR), 31)
"""
    assert counted(eyes, script, str(tmp_path)) == 31


def test_a_device_that_was_open_before_it_was_watched_counts(eyes: Eyes, gpu: GpuCalls) -> None:
    opened = f"{CALL}fd = os.open('/dev/null', os.O_RDWR)\ngate()\ncall(fd, 29)\nos._exit(0)"
    with eyes.python(opened) as gated:
        gated.tell()
        gated.end()
    assert eyes.seen(gated.number).totals["COUNT_GPU_CALLS"] == 29


def test_what_is_no_device_of_a_gpu_does_not_count(eyes: Eyes, gpu: GpuCalls) -> None:
    script = """
call(os.open("/dev/ptmx", os.O_RDWR), 7)
call(os.pipe()[0], 7)
call(socket.socket().fileno(), 7)
call(tempfile.TemporaryFile().fileno(), 7)
call(999, 7)
block = tempfile.mkdtemp() + "/block"
os.mknod(block, 0o600 | 0o060000, os.makedev(1, 3))  # the number of /dev/null, of another kind
fd = os.open(block, os.O_PATH)
call(fd, 7); os.unlink(block); os.rmdir(os.path.dirname(block))
"""
    assert counted(eyes, script) == 0


def test_a_driver_that_is_gone_is_counted_no_more(eyes: Eyes) -> None:
    calls = GpuCalls(eyes.sensor)
    calls.follow({1: "nvidia", 5: "nvidia-uvm"})
    calls.follow({5: "nvidia-uvm"})
    try:
        assert counted(eyes, "call(os.open('/dev/null', os.O_RDWR), 11)") == 0
    finally:
        calls.follow({})
