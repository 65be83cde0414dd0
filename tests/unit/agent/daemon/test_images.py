"""What no call tells is told once in a process's life."""

import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL, Popen

import pytest

from agent.daemon.images import Images
from collectors.processes import snapshot

MEMBER = (7, 3)


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[tuple[Path, "Popen[bytes]"]]:
    program = tmp_path / "program"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    with Popen([program, "60"], stdin=DEVNULL) as process:
        yield program, process
        process.kill()


def look(images: Images, pid: int) -> list[tuple[str, set[str]]]:
    seen = images.look(snapshot(), [pid], lambda _: MEMBER, 1)
    assert all((one.workload, one.role) == MEMBER for one in seen)
    return [(one.item, set(one.marks)) for one in seen]


def test_a_program_in_its_place_is_nothing(copy: tuple[Path, "Popen[bytes]"]) -> None:
    assert look(Images(), copy[1].pid) == []


def test_a_program_whose_file_is_gone_is_told_once(copy: tuple[Path, "Popen[bytes]"]) -> None:
    program, process = copy
    program.unlink()
    images = Images()
    assert look(images, process.pid) == [(str(program), {"unlinked"})]
    assert look(images, process.pid) == []


def test_a_program_whose_file_is_another_is_told_as_replaced(
    copy: tuple[Path, "Popen[bytes]"],
) -> None:
    program, process = copy
    program.unlink()
    program.touch()
    assert look(Images(), process.pid) == [(str(program), {"replaced"})]


def test_arguments_that_pass_for_the_kernels_are_told() -> None:
    with Popen(["[kworker/0:0]", "-c", "input()"], executable=sys.executable, stdin=-1) as process:
        marks = [marks for _, marks in look(Images(), process.pid)]
        process.kill()
    assert marks == [{"overwritten"}]
