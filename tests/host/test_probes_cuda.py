"""Calls of the GPU driver's library are counted exactly, over a driver built here."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from collectors import cuda, elf
from probes.cuda import BY_NAME, LACKING, CudaProbes, Function, asked_for
from probes.libbpf import Link
from tests.host import drivers
from tests.host.conftest import PINS
from tests.host.eyes import Eyes, Gated, Seen

ROOT = Path(__file__).parents[2]
PREFIX_BYTES = 1024
ATTACHES = """
import sys
from pathlib import Path
from probes import cuda, libbpf, loader
from probes.errors import ProbeError
from probes.schema import Schema
pins = Path(sys.argv[1])
pins.mkdir(exist_ok=True)
probes = cuda.CudaProbes(pins, Schema(libbpf.btf_bytes(loader.OBJECT)))
with open(sys.argv[2], "rb") as driver:
    try:
        probes.attach(driver.fileno(), int(sys.argv[3]), cuda.BY_NAME["cuLaunchKernel"])
        print("attached")
    except ProbeError as error:
        print(error)
"""
CODE = b"\x7fELF\x02\x01" + bytes(34) + (4000).to_bytes(8, "little") + bytes(10)
CODE += (64).to_bytes(2, "little") + (2).to_bytes(2, "little") + bytes(2)
CODE = (CODE + bytes(range(256)) * 16)[:4128]  # two section headers at 4000: 4128 bytes in all


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The library, and the program that uses it."""
    return drivers.build(tmp_path_factory.mktemp("gpu"))


@pytest.fixture(scope="module")
def probes(eyes: Eyes) -> Iterator[CudaProbes]:
    loaded = CudaProbes(PINS, eyes.sensor.schema)
    yield loaded
    loaded.close()


class Run:
    """A watched program over the library, attached to as the daemon does it."""

    def __init__(self, eyes: Eyes, probes: CudaProbes, programs: tuple[Path, Path]) -> None:
        self.eyes, self.probes, self.programs = eyes, probes, programs
        self.links: list[Link] = []
        self.fd = -1

    def begin(self, stack: ExitStack, *words: str | int | Path) -> Gated:
        gated = Gated([self.programs[1], self.programs[0], *map(str, words)], self.eyes.workload())
        stack.callback(gated.process.kill)
        self.eyes.watch(gated.pid, gated.number)
        ((file, path),) = cuda.drivers(gated.pid)[0].items()
        fd = cuda.opened(gated.pid, file, path)
        assert fd is not None
        self.fd = fd
        stack.callback(os.close, fd)
        stack.callback(self.release)
        for name, place in elf.functions(fd, BY_NAME).items():
            self.attach(place, BY_NAME[name])
        gated.tell()
        return gated

    def attach(self, place: int, function: Function) -> None:
        self.links += self.probes.attach(self.fd, place, function)

    def release(self) -> None:
        while self.links:
            self.links.pop().close()

    def seen(self, *words: str | int | Path) -> Seen:
        with ExitStack() as stack:
            gated = self.begin(stack, *words)
            assert gated.hear() == "done"
            gated.tell()
            gated.end()
            return self.eyes.seen(gated.number)


@pytest.fixture
def run(eyes: Eyes, probes: CudaProbes, programs: tuple[Path, Path]) -> Run:
    return Run(eyes, probes, programs)


@pytest.mark.parametrize("name", ["cuLaunchKernel", "cuLaunchKernel_ptsz", "cuGraphLaunch"])
def test_1000_launches_read_1000(run: Run, name: str) -> None:
    seen = run.seen(name, 1000)
    assert seen.totals["COUNT_GPU_LAUNCHES"] == 1000
    assert not +seen.losses


def test_a_library_that_only_its_own_mounts_show_is_attached_to(run: Run, tmp_path: Path) -> None:
    """As in a container: under the same path the host has nothing."""
    library, user = run.programs
    inside, program = tmp_path / "inside", tmp_path / "program"
    inside.mkdir()
    room = f'mount -t tmpfs none {inside} && cp {library} {inside} && exec {user} "$@"'
    program.write_text(f"#!/bin/sh\nexec unshare --mount sh -c '{room}' sh \"$@\"\n")
    program.chmod(0o755)
    run.programs = inside / library.name, program
    assert run.seen("cuLaunchKernel", 1000).totals["COUNT_GPU_LAUNCHES"] == 1000
    assert list(inside.iterdir()) == []


def test_bytes_are_counted_exactly_by_direction(run: Run) -> None:
    totals = run.seen("copy", 23).totals
    assert totals["COUNT_GPU_SENT_BYTES"] == 23 * (1000 + 24) + 10 * 5 * 3
    assert totals["COUNT_GPU_FETCHED_BYTES"] == 23 * (4096 + 4) + 100 * 7
    assert totals["COUNT_GPU_COPIED_BYTES"] == 0


def test_copies_of_a_batch_are_added_up(run: Run) -> None:
    seen = run.seen("batch", 100)
    assert seen.totals["COUNT_GPU_COPIED_BYTES"] == sum(range(101))
    assert not +seen.losses


def test_a_batch_beyond_what_is_added_up_is_a_loss(run: Run) -> None:
    seen = run.seen("batch", 300)
    assert seen.totals["COUNT_GPU_COPIED_BYTES"] == sum(range(257))
    assert seen.losses["LOSS_GPU"] == 1


@pytest.mark.parametrize("name", ["cuDevicePrimaryCtxRetain", "cuCtxCreate_v2"])
def test_contexts_are_counted(run: Run, name: str) -> None:
    assert run.seen(name, 3).totals["COUNT_GPU_CONTEXTS"] == 3


def test_memory_that_is_not_freed_is_held_until_its_process_ends(run: Run) -> None:
    pitched = 1024 * 3
    with ExitStack() as stack:
        gated = run.begin(stack, "allocate", 13)
        assert gated.hear() == "done"
        assert run.probes.held_bytes()[gated.number] == (1 << 20) + pitched
        gated.tell()
        gated.end()
        totals = run.eyes.seen(gated.number).totals
        assert gated.number not in run.probes.held_bytes()
    assert totals["COUNT_GPU_ALLOCATED_BYTES"] == 13 * (1 << 20) + pitched
    assert totals["COUNT_GPU_FREED_BYTES"] == 12 * (1 << 20)


def test_the_digest_of_a_module_is_that_of_its_file(run: Run, tmp_path: Path) -> None:
    image = tmp_path / "kernels.cubin"
    image.write_bytes(CODE)
    with ExitStack() as stack:
        gated = run.begin(stack, "load", image)
        assert gated.hear() == "loaded"
        seen = run.eyes.seen(gated.number)
        (told,) = [s for s in seen.sightings if s.kind == "gpu"]
        address, prefix, size = told.frames
        code = cuda.code(gated.pid, address, size, prefix, PREFIX_BYTES)
        gated.tell()
        assert gated.hear() == "done"
        gated.tell()
        gated.end()
    assert code == cuda.Code(
        "cubin", hashlib.sha256(CODE).hexdigest(), 4128, whole=True, changed=False
    )
    assert prefix
    assert seen.totals["COUNT_GPU_MODULES"] == 1


def test_a_function_that_only_the_driver_tells_of_is_counted(run: Run) -> None:
    with ExitStack() as stack:
        gated = run.begin(stack, "look-up", 1000)
        assert gated.hear() == "looked"
        (told,) = [s for s in run.eyes.seen(gated.number).sightings if s.kind == "gpu"]
        found, function = cuda.place(gated.pid, told.frames[0]), asked_for(told.item)
        assert found is not None
        assert function is not None
        run.attach(found[1], function)
        gated.tell()
        assert gated.hear() == "done"
        gated.tell()
        gated.end()
        assert run.eyes.seen(gated.number).totals["COUNT_GPU_LAUNCHES"] == 1000


def test_shared_memory_is_told_once(run: Run) -> None:
    assert run.seen("cuIpcGetMemHandle", 7).items("gpu") == ["share cuIpcGetMemHandle"]


def test_who_is_not_watched_is_not_counted(run: Run, eyes: Eyes) -> None:
    launches = eyes.sensor.schema.enum("counter")["COUNT_GPU_LAUNCHES"]
    command: list[str | Path] = [run.programs[1], run.programs[0], "cuLaunchKernel", "100"]
    run.fd = os.open(run.programs[0], os.O_RDONLY)
    try:
        run.attach(elf.functions(run.fd, BY_NAME)["cuLaunchKernel"], BY_NAME["cuLaunchKernel"])
        eyes.counters.read()
        subprocess.run(command, input="go\ngo\n", text=True, check=True, capture_output=True)
        assert not eyes.counters.read().totals[:, launches].any()
    finally:
        run.release()
        os.close(run.fd)


@pytest.mark.parametrize("more", ["", ",+sys_admin"])
def test_the_units_rights_attach_or_the_right_that_is_short_is_named(
    programs: tuple[Path, Path], own_pins: Path, more: str
) -> None:
    unit = (ROOT / "packaging/systemd/inferward.service").read_text()
    held = re.findall(r"^CapabilityBoundingSet=(.*)", unit, re.MULTILINE)[0].split()
    rights = ",".join(["-all", *("+" + one.removeprefix("CAP_").lower() for one in held)]) + more
    with programs[0].open("rb") as driver:
        place = elf.functions(driver.fileno(), BY_NAME)["cuLaunchKernel"]
    said = subprocess.run(
        [
            "setpriv", "--bounding-set", rights, "--no-new-privs",
            sys.executable, "-c", ATTACHES, own_pins, programs[0], str(place),
        ],
        cwd=ROOT, text=True, check=True, capture_output=True,
    ).stdout.strip()  # fmt: skip
    assert said == "attached" or (not more and said.endswith(LACKING))
