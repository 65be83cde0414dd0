"""The control socket: what it answers, what it refuses, and that one daemon runs."""

import os
import socket
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgpack
import pytest

from agent.control import (
    AlreadyRunningError,
    ControlServer,
    Handler,
    Lock,
    NoAnswerError,
    RemoteError,
    request,
)
from agent.control.wire import MAX_REQUEST_BYTES
from agent.errors import NotRunningError, UnknownError

RELEASE = threading.Event()


def echo(args: Mapping[str, Any]) -> dict[str, Any]:
    return dict(args)


def wait(args: Mapping[str, Any]) -> None:
    RELEASE.wait(float(args["most_s"]))


def fail(_: Mapping[str, Any]) -> None:
    raise ZeroDivisionError


def unknown(args: Mapping[str, Any]) -> None:
    raise UnknownError("workload", args["name"])


HANDLERS: dict[str, Handler] = {
    "echo": echo,
    "wait": wait,
    "fail": fail,
    "unknown": unknown,
    "odd": lambda _: object(),
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ControlServer]:
    RELEASE.clear()
    with ControlServer(tmp_path, HANDLERS) as server:
        yield server
    RELEASE.set()


def send_raw(server: ControlServer, data: bytes) -> bytes:
    """Send bytes, say that no more come, and return what comes back."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2.0)
        connection.connect(str(server.path))
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        try:
            return connection.recv(65_536)
        except ConnectionResetError:
            return b""


def test_a_request_gets_its_handlers_result(server: ControlServer) -> None:
    assert request(server.path.parent, "echo", name="a", size=3) == {"name": "a", "size": 3}
    assert server.requests == 1


def test_the_socket_is_for_owner_and_group_alone(server: ControlServer) -> None:
    assert stat.S_IMODE(server.path.stat().st_mode) == 0o660


def test_a_refusal_keeps_its_words_and_exit_code(server: ControlServer) -> None:
    with pytest.raises(RemoteError, match="There is no workload called 'x'") as raised:
        request(server.path.parent, "unknown", name="x")
    assert raised.value.exit_code == 4


def test_a_failing_handler_does_not_end_the_server(server: ControlServer) -> None:
    with pytest.raises(RemoteError, match="see its log"):
        request(server.path.parent, "fail")
    assert request(server.path.parent, "echo") == {}


def test_a_result_that_cannot_travel_is_a_failure_of_the_handler(server: ControlServer) -> None:
    with pytest.raises(RemoteError, match="see its log"):
        request(server.path.parent, "odd")


def test_an_unknown_operation_is_refused(server: ControlServer) -> None:
    with pytest.raises(RemoteError, match="knows no 'dance'"):
        request(server.path.parent, "dance")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack(">I", MAX_REQUEST_BYTES + 1),
        struct.pack(">I", 10) + b"short",
        struct.pack(">I", 2) + b"\xc1\xc1",
        struct.pack(">I", 1) + msgpack.packb(1),
        struct.pack(">I", 4096) + b"\x91" * 4096,
    ],
)
def test_garbage_is_counted_and_not_answered(server: ControlServer, data: bytes) -> None:
    assert send_raw(server, data) == b""
    assert (server.garbage, server.requests) == (1, 0)
    assert request(server.path.parent, "echo") == {}


def test_a_map_without_an_operation_is_garbage(server: ControlServer) -> None:
    body = msgpack.packb({"args": {}})
    send_raw(server, struct.pack(">I", len(body)) + body)
    assert server.garbage == 1


def test_a_slow_handler_does_not_hold_up_another_request(server: ControlServer) -> None:
    slow = threading.Thread(target=request, args=(server.path.parent, "wait"), kwargs={"most_s": 5})
    slow.start()
    assert request(server.path.parent, "echo", timeout_s=2.0) == {}
    RELEASE.set()
    slow.join()


def test_a_daemon_that_hangs_is_told_from_one_that_is_not_there(server: ControlServer) -> None:
    with pytest.raises(NoAnswerError, match="did not answer"):
        request(server.path.parent, "wait", timeout_s=0.1, most_s=5)


def test_no_socket_means_not_running(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match="agent run"):
        request(tmp_path, "echo")


def test_a_dead_daemons_socket_means_not_running(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
    with pytest.raises(NotRunningError):
        request(tmp_path, "echo")


def test_a_dead_daemons_socket_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
    with ControlServer(tmp_path, HANDLERS):
        assert request(tmp_path, "echo") == {}


def test_a_closed_server_leaves_no_socket(tmp_path: Path) -> None:
    with ControlServer(tmp_path, HANDLERS) as server:
        pass
    assert not server.path.exists()


def test_a_second_daemon_is_refused_by_the_pid_of_the_first(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from agent.control import Lock\n"
    script += "held = Lock([Path(sys.argv[1])]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[4],
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunningError, match=f"Process {first.pid} is already running"):
            Lock([tmp_path])
        first.communicate()
    with Lock([tmp_path]):
        assert (tmp_path / "agent.lock").read_text() == f"{os.getpid()}\n"


def test_a_lock_on_many_directories_is_all_or_none(tmp_path: Path) -> None:
    with Lock([tmp_path / "state"]), pytest.raises(AlreadyRunningError):
        Lock([tmp_path / "run", tmp_path / "state"])
    with Lock([tmp_path / "run"]):
        pass
