"""io_uring is no way around the probes: each operation is seen, by whoever carries it out."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes import syscalls
from tests.host.eyes import RINGS, Eyes, Seen

ENABLED = Path("/proc/sys/kernel/io_uring_disabled")
PREFIX = "ring"


@pytest.fixture(scope="module", params=["plain", "sqpoll"])
def seen(
    request: pytest.FixtureRequest, eyes: Eyes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Seen, Path, int]]:
    """What was seen of every operation; with sqpoll, by a kernel thread and no call at all."""
    prefix = tmp_path_factory.mktemp("ring") / PREFIX
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as local,
    ):
        local.bind(f"{prefix}-socket")
        local.listen()
        port = tcp.getsockname()[1]
        with eyes.rings(prefix, port, request.param) as gated:
            gated.tell()
            assert not gated.end()
        yield eyes.seen(gated.number), prefix, port


def test_files_opened_are_told(seen: tuple[Seen, Path, int]) -> None:
    what, prefix, _ = seen
    assert what.items("write") == [f"{prefix}-out"]
    assert f"{prefix}-out" in what.items("file")
    assert what.marks("write", "-out") >= {"create"}


def test_peers_connected_to_are_told(seen: tuple[Seen, Path, int]) -> None:
    what, prefix, port = seen
    assert what.items("peer") == [f"tcp 127.0.0.1:{port}", f"unix {prefix}-socket"]


def test_bytes_are_counted(seen: tuple[Seen, Path, int]) -> None:
    what, *_ = seen
    written, sent, read = 1009, 1009, 1009
    assert what.totals["COUNT_READ_BYTES"] - len("go\n") == read
    assert what.totals["COUNT_WRITE_BYTES"] == written + sent
    assert (what.moved["written temp"], what.moved["read temp"]) == (written, read)
    assert what.moved["written socket"] == sent


def test_each_operation_is_told_once_by_name(seen: tuple[Seen, Path, int]) -> None:
    what, *_ = seen
    told = [syscalls.name(int(number)) for number in what.items("syscall")]
    assert [name for name in told if name.startswith("io_uring:")] == [
        "io_uring:openat",
        "io_uring:write",
        "io_uring:read",
        "io_uring:connect",
        "io_uring:send",
    ]


def test_an_open_whose_success_is_not_posted_is_told_by_its_name(
    eyes: Eyes, tmp_path: Path
) -> None:
    with eyes.rings(tmp_path / PREFIX, 0, "hidden") as gated:
        gated.tell()
        gated.end()
    what = eyes.seen(gated.number)
    assert what.items("write") == [f"{tmp_path / PREFIX}-out"]
    assert what.marks("write", "-out") >= {"io_uring"}


def test_the_names_of_operations_begin_where_the_kernel_side_numbers_them(eyes: Eyes) -> None:
    first = eyes.sensor.schema.limit("RING_CALL")
    assert syscalls.name(first) == "io_uring:nop"
    assert syscalls.number("io_uring:nop") == first


def test_a_ring_opens_nothing_of_a_workload_unseen(eyes: Eyes, tmp_path: Path) -> None:
    path, holder = tmp_path / f"{PREFIX}-out", eyes.workload()
    path.touch()
    eyes.hold(path, holder)
    words = (RINGS, tmp_path / PREFIX, "0", "plain")
    subprocess.run(words, input="go\n", text=True, check=True, capture_output=True)
    told = [s for s in eyes.seen(holder).sightings if s.kind == "stranger"]
    assert [(s.item, Path(s.exe).name, "written" in s.marks) for s in told] == [
        (str(path), "rings", True),
        (str(path), "rings", False),
    ]
