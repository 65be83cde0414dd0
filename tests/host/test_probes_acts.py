"""What a process makes of itself: names, rights, namespaces; and how it ends, by whose hand."""

import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.eyes import Eyes, Seen
from tests.host.groups import small_memory

UNSHARE, CLONE_NEWUTS, CLONE_NEWIPC = 272, "04000000", "08000000"
NOBODY = 65534


def rights(seen: Seen) -> list[str]:
    return seen.items("privilege")


@pytest.fixture
def bystander() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_new_name_is_told(eyes: Eyes) -> None:
    assert eyes.act("names", 1, "kworker/0:").items("title") == ["set-name kworker/0:0"]


def test_names_of_a_pool_are_told_once_for_each_number_of_digits(eyes: Eyes) -> None:
    assert eyes.act("names", 113, "pool-").items("title") == [
        "set-name pool-0",
        "set-name pool-10",
        "set-name pool-100",
    ]


def test_a_name_written_to_proc_is_told(eyes: Eyes) -> None:
    assert eyes.act("name-by-file", "sshd").items("title") == ["set-name sshd"]


def test_a_new_program_is_no_new_name(eyes: Eyes) -> None:
    assert eyes.do("execs", 5, "/bin/true").items("title") == []


def test_a_name_is_told_under_its_role(eyes: Eyes) -> None:
    (told,) = eyes.act("names", 1, "worker", role=5).sightings[-2:-1]
    assert (told.kind, told.role) == ("title", 5)


def test_a_key_that_is_forgotten_makes_a_name_told_again(eyes: Eyes) -> None:
    with eyes.acts("names", 1, "pool-") as gated:
        gated.tell()
        gated.end()
    (told,) = (s for s in eyes.seen(gated.number).sightings if s.kind == "title")
    assert eyes.sensor.maps["seen"].get(told.key) is not None


def test_rights_given_up_are_told_once(eyes: Eyes) -> None:
    seen = eyes.act("drops", 3, NOBODY)
    assert rights(seen) == [
        f"gid 0 -> {NOBODY}",
        f"uid 0 -> {NOBODY}, capabilities -all",
    ]
    assert seen.marks("privilege", "capabilities -all") == {"dropped"}


def test_rights_taken_back_are_told_as_gained(eyes: Eyes) -> None:
    seen = eyes.act("returns", 7, NOBODY)
    assert rights(seen) == [
        f"uid 0 -> {NOBODY}, capabilities -all",
        f"uid {NOBODY} -> 0, capabilities +all",
    ]
    assert seen.marks("privilege", "+all") == {"gained"}


def test_one_capability_given_up_is_told_by_its_name(eyes: Eyes) -> None:
    assert rights(eyes.act("drops-capability", 13)) == ["capabilities -CAP_NET_RAW"]


@pytest.fixture
def helper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A set-user-id program in a directory that everybody may enter."""
    folder = Path("/tmp") / f"inferward-{tmp_path_factory.getbasetemp().name}-setuid"
    folder.mkdir(mode=0o755)
    program = folder / "helper"
    shutil.copy("/bin/true", program)
    program.chmod(0o4755)
    yield program
    shutil.rmtree(folder)


def test_a_set_user_id_program_gains_rights(eyes: Eyes, helper: Path) -> None:
    seen = eyes.act("execs-as", NOBODY, helper)
    assert rights(seen)[-1] == f"uid {NOBODY} -> 0, capabilities +all"
    assert seen.marks("privilege", "+all") == {"gained"}


def test_a_program_without_that_gains_none(eyes: Eyes) -> None:
    seen = eyes.act("execs-as", NOBODY, "/bin/true")
    assert all("gained" not in s.marks for s in seen.sightings)


def test_the_keys_of_rights_are_the_kernels(eyes: Eyes) -> None:
    seen = eyes.act("returns", 1, NOBODY)
    keys = [s.key for s in seen.sightings if s.kind == "privilege"]
    assert all(eyes.sensor.maps["seen"].get(key) is not None for key in keys)


def test_children_in_another_namespace_are_told_once(eyes: Eyes) -> None:
    assert rights(eyes.act("clones", 3, "0c000000")) == ["namespace ipc,uts"]


def test_a_namespace_of_its_own_is_told(eyes: Eyes) -> None:
    assert rights(eyes.act("unshares", 0, CLONE_NEWUTS)) == ["namespace uts"]


def test_a_namespace_entered_by_its_descriptor_is_told(eyes: Eyes) -> None:
    seen = eyes.act("enters", 5, "/proc/self/ns/ipc")
    assert rights(seen) == ["namespace ipc"]
    keys = [s.key for s in seen.sightings if s.kind == "privilege"]
    assert eyes.sensor.maps["seen"].get(keys[0]) is not None


def test_rights_of_a_new_user_namespace_are_no_gain(eyes: Eyes) -> None:
    assert rights(eyes.act("unshares", 0, "10000000")) == ["namespace user"]


def test_ordinary_children_and_threads_change_nothing(eyes: Eyes) -> None:
    assert rights(eyes.do("forks", 13, 1)) == []
    assert rights(eyes.do("threads", 7, 1)) == []


def test_a_signal_to_a_process_outside_is_told(
    eyes: Eyes, bystander: "subprocess.Popen[bytes]"
) -> None:
    seen = eyes.act("signals", bystander.pid, signal.SIGTERM)
    (told,) = seen.items("signal")
    assert told.startswith("kill SIGTERM -> /")
    assert told.endswith("/sleep")


def test_a_signal_to_its_parent_is_told_as_such(eyes: Eyes) -> None:
    seen = eyes.act("signals", os.getpid(), signal.SIGURG)
    assert seen.items("signal")[0].startswith("kill SIGURG -> its parent /")


def test_signals_within_a_workload_are_not_told(eyes: Eyes) -> None:
    assert eyes.do("signals", 31).items("signal") == []


def test_who_ended_a_process_from_outside_is_told(eyes: Eyes) -> None:
    with eyes.acts("names", 1, "x") as gated:
        os.kill(gated.pid, signal.SIGKILL)
        gated.process.wait()
    (end,) = (s for s in eyes.seen(gated.number).sightings if s.kind == "exit")
    comm = Path("/proc/self/comm").read_text().strip()
    assert end.item == f"SIGKILL from {comm} (pid {os.getpid()}, uid {os.getuid()})"


def test_a_crash_that_leaves_a_core_is_told_as_such(eyes: Eyes, tmp_path: Path) -> None:
    if Path("/proc/sys/kernel/core_pattern").read_text().startswith("|"):
        pytest.skip("a core dump goes to a program here")
    seen = eyes.act("crashes", tmp_path)
    (end,) = (s for s in seen.sightings if s.kind == "exit")
    assert end.item == "crash SIGSEGV, core dumped"
    assert end.marks >= {"crash", "core"}
    assert (seen.totals["COUNT_CRASHES"], seen.totals["COUNT_CORE_DUMPS"]) == (1, 1)


def test_a_segment_is_told_when_made_found_and_attached(eyes: Eyes) -> None:
    seen = eyes.act("segments", 5, "0badc0de")
    assert seen.items("shared") == ["sysv shm 0x0badc0de"] * 3
    told = [s for s in seen.sightings if s.kind == "shared"]
    assert [min(s.marks - {"shared"}) for s in told] == ["create", "open", "attach"]
    assert all(eyes.sensor.maps["seen"].get(s.key) is not None for s in told)


@pytest.fixture
def segment() -> Iterator[int]:
    """A private segment of a process that nobody watches."""
    libc = ctypes.CDLL(None, use_errno=True)
    made = libc.shmget(0, 8192, 0o1600)
    assert made >= 0
    yield made
    libc.shmctl(made, 0, None)


def test_a_segment_of_a_stranger_is_told_as_such(eyes: Eyes, segment: int) -> None:
    seen = eyes.act("attaches", segment, "0")
    assert seen.items("shared") == ["sysv shm private"]
    assert seen.marks("shared", "private") >= {"attach", "stranger"}


def test_a_segment_attached_as_code_is_told_as_such(eyes: Eyes, segment: int) -> None:
    seen = eyes.act("attaches", segment, "0100000")
    assert "executable" in seen.marks("shared", "private")


def test_memfds_are_told_by_their_names_digits_aside(eyes: Eyes) -> None:
    seen = eyes.act("memfds", 13, "scratch-")
    assert seen.items("shared") == ["/memfd:scratch-12", "/memfd:scratch-9"]
    keys = [s.key for s in seen.sightings if s.kind == "shared"]
    assert all(eyes.sensor.maps["seen"].get(key) is not None for key in keys)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    library = tmp_path / "library.so"
    library.write_bytes(bytes(4096))
    return library


def test_a_file_made_executable_later_is_told_as_itself(eyes: Eyes, library: Path) -> None:
    seen = eyes.act("protects", 0, library)
    assert [item.endswith("/library.so") for item in seen.items("library")] == [True]
    assert seen.marks("library", "library.so") == frozenset()


def test_a_file_changed_in_memory_and_made_executable_is_told(eyes: Eyes, library: Path) -> None:
    seen = eyes.act("protects", 1, library)
    assert seen.marks("library", "library.so") == {"mprotect", "patched"}


def test_a_memfd_mapped_for_writing_and_running_is_told(eyes: Eyes) -> None:
    seen = eyes.act("maps-twice", "jit")
    assert seen.items("library") == ["/memfd:jit"]
    assert seen.marks("library", "/memfd:jit") == {"memfd", "shared"}


def test_memory_that_a_personality_makes_executable_is_told(eyes: Eyes) -> None:
    assert eyes.act("implies").items("library") == ["anonymous"]


def test_a_process_ended_for_want_of_memory_is_told_as_such(eyes: Eyes) -> None:
    with small_memory() as group, eyes.acts("eats", 64) as gated:
        (group / "cgroup.procs").write_text(str(gated.pid))
        gated.tell()
        gated.process.wait(20)
        seen = eyes.seen(gated.number)
    (end,) = (s for s in seen.sightings if s.kind == "exit")
    assert end.item == "out of memory"
    assert end.status == (0, signal.SIGKILL)
    assert seen.totals["COUNT_OOM_KILLS"] == 1
