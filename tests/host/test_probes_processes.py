"""Programs, processes and threads: what was started, from what, and how it ended."""

from pathlib import Path

import pytest

from tests.host.eyes import Eyes, Seen

SIGABRT = 6


def test_each_of_23_programs_started_is_told(eyes: Eyes) -> None:
    seen = eyes.do("execs", 23, "/bin/true")
    assert len(seen.items("exec")) == 23
    assert seen.totals["COUNT_EXECS"] == 23
    assert seen.totals["COUNT_FORKS"] == 23


def test_a_program_is_told_with_its_arguments(eyes: Eyes) -> None:
    seen = eyes.do("execs", 1, "/bin/true")
    (program,) = (s for s in seen.sightings if s.kind == "exec")
    assert program.item.endswith("/bin/true")
    assert program.arguments == ("/bin/true", "one", "two")


def test_a_program_is_told_under_the_role_that_started_it(eyes: Eyes) -> None:
    seen = eyes.do("execs", 1, "/bin/true", role=5)
    (program,) = (s for s in seen.sightings if s.kind == "exec")
    assert program.role == 5


def test_what_a_new_program_does_is_another_role(eyes: Eyes) -> None:
    seen = eyes.do("execs", 1, "/bin/true", role=5)
    unknown = eyes.sensor.schema.enum("task_role")["ROLE_UNKNOWN_CHILD"]
    opened = {s.role for s in seen.sightings if s.kind == "file"}
    assert opened == {unknown}


def test_a_forked_copy_of_the_main_process_is_a_worker(eyes: Eyes, tmp_path: Path) -> None:
    (tmp_path / "read").write_text("x")
    seen = eyes.do("copies", 1, tmp_path / "read")
    (opened,) = (s for s in seen.sightings if s.kind == "file" and s.item.endswith("/read"))
    assert opened.role == eyes.sensor.schema.enum("task_role")["ROLE_WORKER"]


def test_a_child_that_shares_memory_until_it_runs_a_program_is_no_copy(
    eyes: Eyes, tmp_path: Path
) -> None:
    (tmp_path / "read").write_text("x")
    seen = eyes.do("copies", 1, tmp_path / "read")
    (program,) = (s for s in seen.sightings if s.kind == "exec")
    assert program.role == eyes.sensor.schema.enum("task_role")["ROLE_MAIN"]


def test_a_copy_of_another_role_keeps_it(eyes: Eyes, tmp_path: Path) -> None:
    (tmp_path / "read").write_text("x")
    seen = eyes.do("copies", 1, tmp_path / "read", role=5)
    assert {s.role for s in seen.sightings if s.item.endswith("/read")} == {5}


def test_a_program_in_memory_is_told_as_such(eyes: Eyes) -> None:
    assert "memfd" in eyes.do("exec-memfd").marks("exec", "payload")


def test_a_program_whose_file_is_gone_is_told_as_such(eyes: Eyes, tmp_path: Path) -> None:
    seen = eyes.do("exec-deleted", 0, tmp_path / "gone")
    assert "deleted" in seen.marks("exec", "gone")


def test_a_program_talking_to_a_socket_is_told_as_such(eyes: Eyes) -> None:
    script = """
import os, socket
one, other = socket.socketpair()
gate()
os.dup2(other.fileno(), 0)
os.execv("/bin/true", ["true"])
"""
    with eyes.python(script) as gated:
        gated.tell()
        gated.end()
    assert "stdio-socket" in eyes.seen(gated.number).marks("exec", "/true")


def test_a_process_that_aborts_is_a_crash(eyes: Eyes) -> None:
    seen = eyes.do("crash")
    (end,) = (s for s in seen.sightings if s.kind == "exit")
    assert end.status == (0, SIGABRT)
    assert seen.totals["COUNT_CRASHES"] == 1


@pytest.fixture(scope="module")
def mapped(eyes: Eyes, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    library = tmp_path_factory.mktemp("maps") / "library.so"
    library.write_bytes(bytes(4096))
    return eyes.do("maps", 0, library)


def test_executable_mappings_are_told_apart(mapped: Seen) -> None:
    assert [item.rpartition("/")[2] for item in mapped.items("library")] == [
        "library.so",
        "anonymous",
        "mprotect",
    ]


def test_memory_made_executable_is_marked(mapped: Seen) -> None:
    assert mapped.marks("library", "anonymous") == {"anonymous"}
    assert mapped.marks("library", "mprotect") == {"anonymous", "mprotect"}


def test_threads_that_ran_before_are_adopted(eyes: Eyes) -> None:
    with eyes.gated("running-threads", 11, 1) as gated:
        number = eyes.workload()
        assert eyes.watch(gated.pid, number) == 12
        gated.tell()
        gated.end()


def test_children_that_ran_before_are_adopted_with_their_parent(eyes: Eyes) -> None:
    with eyes.gated("fork-and-walk") as gated:
        gated.tell()
        child = _child_of(gated.pid)
        members = eyes.sensor.maps["members"]
        members.delete(gated.pid.to_bytes(4, "little"))
        members.delete(child.to_bytes(4, "little"))
        assert eyes.sensor.adopt() == 2
        assert eyes.watch(gated.pid, eyes.workload()) == 2


def _child_of(pid: int) -> int:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    while not (children := listed.read_text().split()):
        pass
    return int(children[0])


@pytest.mark.parametrize(
    ("variable", "mark"),
    [
        ("LD_PRELOAD", "ld-preload"),
        ("LD_AUDIT", "ld-audit"),
        ("LD_LIBRARY_PATH", "ld-library-path"),
        ("PYTHONPATH", "python-path"),
    ],
)
def test_an_environment_that_changes_whose_code_runs_is_told(
    eyes: Eyes, variable: str, mark: str
) -> None:
    script = (
        "import os\ngate()\nos.execve('/bin/true', ['true'], {'A': 'b' * 509, sys.argv[1]: ''})"
    )
    with eyes.python(script, variable) as gated:
        gated.tell()
        gated.end()
    assert mark in eyes.seen(gated.number).marks("exec", "/true")


def test_an_environment_that_changes_nothing_is_not_marked(eyes: Eyes) -> None:
    assert not eyes.do("execs", 1, "/bin/true").marks("exec", "/true")
