"""A contained workload opens nothing new, and a frozen one does nothing more."""

import errno
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.eyes import LIMIT_S, Eyes, Gated

TRY = """
import errno, socket
port = int(sys.argv[1])
def attempt(kind, act):
    s = socket.socket(socket.AF_INET, kind)
    s.settimeout(5)
    try:
        act(s)
        print(0, flush=True)
    except OSError as e:
        print(e.errno, flush=True)
connect = lambda s: s.connect(("127.0.0.1", port))
send = lambda s: s.sendto(b"x", ("127.0.0.1", 9))
while True:
    gate()
    attempt(socket.SOCK_STREAM, connect)
    attempt(socket.SOCK_DGRAM, send)
"""
TALK = """
import socket
port = int(sys.argv[1])
own = socket.create_connection(("127.0.0.1", port))
listener = socket.create_server(("127.0.0.1", 0))
gate()
print(listener.getsockname()[1], flush=True)
accepted, _ = listener.accept()
while True:
    sys.stdin.readline()
    own.send(b"own")
    accepted.send(b"accepted")
"""
ECHO = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
gate()
print(listener.getsockname()[1], flush=True)
client, _ = listener.accept()
while word := client.recv(64):
    print(word.decode(), flush=True)
    client.send(word)
"""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield listening


def _attempts(gated: Gated) -> list[int]:
    gated.tell()
    results = [int(gated.hear()) for _ in range(2)]
    assert gated.hear() == "ready"
    return results


def test_connecting_and_sending_are_refused(eyes: Eyes, listener: socket.socket) -> None:
    with eyes.python(TRY, listener.getsockname()[1]) as gated:
        assert _attempts(gated) == [0, 0]
        eyes.contain(gated.number, "CONTAIN_NETWORK")
        assert _attempts(gated) == [errno.EPERM, errno.EPERM]
    seen = eyes.seen(gated.number)
    assert seen.items("denied") == [f"tcp 127.0.0.1:{listener.getsockname()[1]}", "udp 127.0.0.1:9"]
    assert seen.totals["COUNT_DENIED"] == 2


def test_containment_ends_when_it_is_taken_back(eyes: Eyes, listener: socket.socket) -> None:
    with eyes.python(TRY, listener.getsockname()[1]) as gated:
        eyes.contain(gated.number, "CONTAIN_NETWORK")
        assert _attempts(gated) == [errno.EPERM, errno.EPERM]
        eyes.contain(gated.number, "CONTAIN_NONE")
        assert _attempts(gated) == [0, 0]


def test_containment_ends_by_itself_at_its_time(eyes: Eyes, listener: socket.socket) -> None:
    with eyes.python(TRY, listener.getsockname()[1]) as gated:
        eyes.contain(gated.number, "CONTAIN_NETWORK", time.monotonic_ns() + 300_000_000)
        assert _attempts(gated) == [errno.EPERM, errno.EPERM]
        time.sleep(0.35)
        assert _attempts(gated) == [0, 0]


def test_its_own_connections_are_cut_and_accepted_ones_are_not(
    eyes: Eyes, listener: socket.socket
) -> None:
    with eyes.python(TALK, listener.getsockname()[1]) as gated:
        own, _ = listener.accept()
        own.settimeout(0.3)
        gated.tell()
        with socket.create_connection(("127.0.0.1", int(gated.hear())), 5) as accepted:
            gated.tell()
            assert (own.recv(64), accepted.recv(64)) == (b"own", b"accepted")
            eyes.contain(gated.number, "CONTAIN_NETWORK")
            gated.tell()
            assert accepted.recv(64) == b"accepted"
            with pytest.raises(TimeoutError):
                own.recv(64)
        own.close()


def test_where_clients_are_cut_nothing_goes_to_them_comes_from_them_or_begins(eyes: Eyes) -> None:
    with eyes.python(ECHO) as gated:
        gated.tell()
        address = ("127.0.0.1", int(gated.hear()))
        with socket.create_connection(address, 5) as client:
            client.settimeout(0.4)
            client.send(b"1")
            assert (client.recv(64), gated.hear()) == (b"1", "1")
            eyes.contain(gated.number, "CONTAIN_NETWORK", clients=True)
            client.send(b"2")
            with pytest.raises(TimeoutError):
                client.recv(64)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, 0.4)
            eyes.contain(gated.number, "CONTAIN_NETWORK")
            client.settimeout(LIMIT_S)  # it is sent again
            assert (client.recv(64), gated.hear()) == (b"2", "2")
            eyes.contain(gated.number, "CONTAIN_NONE")
            client.send(b"3")
            assert client.recv(64) == b"3"


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _stops(pid: int) -> bool:
    end = time.monotonic() + LIMIT_S
    while _state(pid) != "T" and time.monotonic() < end:
        time.sleep(0.002)
    return _state(pid) == "T"


def _child_of(pid: int) -> int:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    while not (children := listed.read_text().split()):
        time.sleep(0.001)
    return int(children[0])


def test_a_frozen_process_stops_at_its_next_call(eyes: Eyes) -> None:
    with eyes.gated("walk") as gated:
        gated.tell()
        eyes.contain(gated.number, "CONTAIN_FREEZE")
        assert _stops(gated.pid)
        assert eyes.seen(gated.number).totals["COUNT_STOPPED"] >= 1


def test_children_of_a_frozen_process_stop_too(eyes: Eyes) -> None:
    with eyes.gated("fork-and-walk") as gated:
        gated.tell()
        child = _child_of(gated.pid)
        eyes.contain(gated.number, "CONTAIN_FREEZE")
        assert _stops(gated.pid)
        assert _stops(child)


def test_other_workloads_go_on(eyes: Eyes) -> None:
    with eyes.gated("calls", 43) as other, eyes.gated("walk") as gated:
        eyes.contain(gated.number, "CONTAIN_FREEZE")
        other.tell()
        other.end()
    assert eyes.seen(other.number).totals["COUNT_STOPPED"] == 0
