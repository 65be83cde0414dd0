"""Peers are told once each, by who called whom, whatever the address family."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.eyes import Eyes, Seen

CONNECT = """
import socket
family, kind = int(sys.argv[1]), int(sys.argv[2])
host, port, times = sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
gate()
for _ in range(times):
    s = socket.socket(family, kind)
    s.connect((host, port) if port else host)
    s.close()
"""
SEND = """
import socket
family, host, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
s = socket.socket(family, socket.SOCK_DGRAM)
gate()
for _ in range(11): s.sendto(b"x", (host, port))
"""
LISTEN = """
import socket
family, host = int(sys.argv[1]), sys.argv[2]
gate()
s = socket.socket(family)
s.bind((host, 0))
s.listen()
print(s.getsockname()[1], flush=True)
for _ in range(3):
    c, _ = s.accept()
    c.close()
"""
HOSTS = [(socket.AF_INET, "127.0.0.1", "127.0.0.1"), (socket.AF_INET6, "::1", "[::1]")]


def _run(eyes: Eyes, script: str, *words: str | int) -> Seen:
    with eyes.python(script, *words) as gated:
        gated.tell()
        gated.end()
    return eyes.seen(gated.number)


@pytest.fixture(params=HOSTS, ids=["v4", "v6"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[int, str, str, int]]:
    """A listener that accepts whoever comes: family, host, host as told, port."""
    family, host, told = request.param
    with socket.create_server((host, 0), family=family, backlog=64) as listener:
        yield int(family), host, told, listener.getsockname()[1]


def test_a_peer_connected_to_13_times_is_told_once(
    eyes: Eyes, server: tuple[int, str, str, int]
) -> None:
    family, host, told, port = server
    seen = _run(eyes, CONNECT, family, int(socket.SOCK_STREAM), host, port, 13)
    assert seen.items("peer") == [f"tcp {told}:{port}"]
    assert seen.totals["COUNT_CONNECTS"] == 13


@pytest.mark.parametrize(("family", "host", "told"), HOSTS, ids=["v4", "v6"])
def test_a_peer_sent_datagrams_is_told_once(eyes: Eyes, family: int, host: str, told: str) -> None:
    seen = _run(eyes, SEND, int(family), host, 9)
    assert seen.items("peer") == [f"udp {told}:9"]
    assert seen.totals["COUNT_CONNECTS"] == 11


@pytest.mark.parametrize(("family", "host", "told"), HOSTS, ids=["v4", "v6"])
def test_a_listener_and_whom_it_accepts_are_told(
    eyes: Eyes, family: int, host: str, told: str
) -> None:
    with eyes.python(LISTEN, int(family), host) as gated:
        gated.tell()
        port = int(gated.hear())
        for _ in range(3):
            socket.create_connection((host, port)).close()
        gated.end()
    seen = eyes.seen(gated.number)
    assert seen.items("listen") == [f"tcp {told}:{port}"]
    assert seen.items("peer") == [f"accept tcp {told}"]
    assert seen.totals["COUNT_ACCEPTS"] == 3


def test_an_ipv4_peer_of_an_ipv6_socket_is_an_ipv4_peer(eyes: Eyes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        seen = _run(eyes, CONNECT, int(socket.AF_INET6), 1, "::ffff:127.0.0.1", port, 1)
    assert seen.items("peer") == [f"tcp 127.0.0.1:{port}"]


def test_a_unix_peer_is_told_by_its_path(eyes: Eyes, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        seen = _run(eyes, CONNECT, int(socket.AF_UNIX), 1, path, 0, 1)
    assert seen.items("peer") == [f"unix {path}"]


def test_a_unix_peer_without_a_path_is_told_by_its_name(eyes: Eyes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0inferward-test")
        listener.listen()
        script = CONNECT.replace(
            "host, port, times = sys.argv[3],", "host, port, times = '\\0' + sys.argv[3],"
        )
        seen = _run(eyes, script, int(socket.AF_UNIX), 1, "inferward-test", 0, 1)
    assert seen.items("peer") == ["unix @inferward-test"]


def test_a_bound_datagram_socket_listens(eyes: Eyes) -> None:
    script = "import socket\ngate()\ns = socket.socket(2, 2); s.bind(('127.0.0.1', 17911))"
    assert _run(eyes, script).items("listen") == ["udp 127.0.0.1:17911"]


def test_bytes_are_counted_by_who_opened_the_connection(eyes: Eyes) -> None:
    script = """
import socket
own = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
gate()
own.sendall(bytes(10007))
own.recv(1)
"""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        eyes.python(script, listener.getsockname()[1]) as gated,
    ):
        peer, _ = listener.accept()
        reader = threading.Thread(target=_answer, args=(peer, 10007), daemon=True)
        reader.start()
        gated.tell()
        gated.end()
        reader.join()
    totals = eyes.seen(gated.number).totals
    assert totals["COUNT_SENT_INITIATED"] >= 10007
    assert totals["COUNT_SENT_ACCEPTED"] == 0
    assert totals["COUNT_RECEIVED"] >= 1


def _answer(peer: socket.socket, size: int) -> None:
    with peer:
        while size > 0:
            size -= len(peer.recv(size))
        peer.sendall(b"x")
