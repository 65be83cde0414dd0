"""What no call tells is told once in a process's life."""

import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

import pytest

from agent.daemon.images import WRITE, Images, held_before
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


def test_what_was_open_for_writing_before_is_told_and_what_was_open_to_be_read_is_not(
    tmp_path: Path,
) -> None:
    log, gone, read = (tmp_path / name for name in ("server.log", "gone", "model"))
    read.touch()
    holds = "import sys, time; held = [open(p, m) for p, m in zip(sys.argv[1:], 'aar')]\n"
    holds += "print(flush=True); time.sleep(60)"
    line = [sys.executable, "-c", holds, *map(str, (log, gone, read))]
    with Popen(line, stdin=DEVNULL, stdout=PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            gone.unlink()
            holder = snapshot().get(process.pid)
            assert holder is not None
            told = held_before([holder], lambda _: MEMBER, 1)
        finally:
            process.kill()
    assert [one.item for one in told if one.kind == WRITE] == [str(log)]
    assert {(one.workload, one.role) for one in told} == {MEMBER}
