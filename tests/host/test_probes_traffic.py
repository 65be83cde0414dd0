"""Bytes and connections are counted by who opened them and where the other end is."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.host import nets
from tests.host.eyes import Eyes, Seen

CONNECT = """
import socket
gate()
for host in sys.argv[2:]:
    socket.create_connection((host, int(sys.argv[1])), 5).close()
"""
SEND = """
import socket
host, port, size, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
gate()
for _ in range(times): s.sendto(bytes(size), (host, port))
"""
ECHO = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
gate()
print(s.getsockname()[1], flush=True)
for _ in range(5):
    data, caller = s.recvfrom(4096)
    s.sendto(data * 2, caller)
"""
SERVE = """
import socket
listener = socket.create_server(("0.0.0.0", 7100))
gate()
print("listening", flush=True)
for _ in range(2):
    line, _ = listener.accept()
    line.sendall(bytes(4096))
    line.close()
"""
FETCH = """
import socket, sys
for bound in sys.argv[1:]:
    with socket.create_connection(("10.77.0.1", 7100), 5, (bound, 0)) as line:
        while line.recv(4096): pass
"""
IP_UDP, IP6_UDP = 28, 48
"""Bytes of headers in front of a datagram's."""


def run(eyes: Eyes, script: str, *words: str | int, inside: str = "") -> Seen:
    with eyes.python(script, *words, inside=inside) as gated:
        gated.tell()
        gated.end()
    return eyes.seen(gated.number)


@pytest.fixture(scope="module")
def cable() -> Iterator[tuple[str, str]]:
    if why := nets.missing():
        pytest.skip(why)
    with nets.cable() as ends:
        yield ends


@pytest.fixture
def sink() -> Iterator[int]:
    """A port of this host where datagrams are taken, whatever the family."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as taking:
        taking.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        taking.bind(("::", 0))
        yield taking.getsockname()[1]


@pytest.mark.parametrize(
    ("host", "header"),
    [("127.0.0.1", IP_UDP), ("::1", IP6_UDP), ("::ffff:127.0.0.1", IP_UDP)],
    ids=["v4", "v6", "mapped"],
)
def test_13_datagrams_are_counted_to_the_byte(
    eyes: Eyes, sink: int, host: str, header: int
) -> None:
    seen = run(eyes, SEND, host, sink, 1000, 13)
    assert seen.traffic == {("LOOPBACK", "INITIATED_OUT"): 13 * (1000 + header)}
    assert seen.totals["COUNT_SENT_INITIATED"] == 13 * (1000 + header)


def test_answers_to_whoever_spoke_first_are_no_calls_of_its_own(eyes: Eyes) -> None:
    with eyes.python(ECHO) as gated, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        caller.settimeout(5)
        gated.tell()
        port = int(gated.hear())
        for _ in range(5):
            caller.sendto(bytes(100), ("127.0.0.1", port))
            caller.recv(4096)
        gated.end()
    assert eyes.seen(gated.number).traffic == {
        ("LOOPBACK", "ACCEPTED_IN"): 5 * (100 + IP_UDP),
        ("LOOPBACK", "ACCEPTED_OUT"): 5 * (200 + IP_UDP),
    }


@pytest.mark.parametrize(("host", "peer"), list(nets.FAR.items()))
def test_7_datagrams_across_a_cable_are_counted_by_class(
    eyes: Eyes, cable: tuple[str, str], host: str, peer: str
) -> None:
    seen = run(eyes, SEND, host, nets.PORT, 500, 7, inside=cable[0])
    header = IP6_UDP if ":" in host else IP_UDP
    assert seen.traffic == {(peer, "INITIATED_OUT"): 7 * (500 + header)}


def test_each_connect_is_counted_by_where_it_went(eyes: Eyes, cable: tuple[str, str]) -> None:
    hosts = [*nets.FAR, "::ffff:169.254.169.254", "::ffff:198.51.99.7"]
    seen = run(eyes, CONNECT, nets.PORT, *hosts, inside=cable[0])
    assert seen.connections == {
        ("PRIVATE", "INITIATED_OUT"): 3,
        ("PUBLIC", "INITIATED_OUT"): 3,
        ("LINK", "INITIATED_OUT"): 1,
        ("METADATA", "INITIATED_OUT"): 8,
    }
    assert {flow for _, flow in seen.traffic} == {"INITIATED_OUT", "INITIATED_IN"}
    told = [item for item in seen.items("peer") if "169.254.169.254" in item]
    assert told == [f"tcp 169.254.169.254:{nets.PORT}"]  # mapped or not: one peer


def test_each_accept_is_counted_by_where_it_came_from(eyes: Eyes, cable: tuple[str, str]) -> None:
    with eyes.python(SERVE, inside=cable[0]) as gated:
        gated.tell()
        assert gated.hear() == "listening"
        fetch = [*nets.inside(cable[1]), sys.executable, "-ISc", FETCH]
        subprocess.run([*fetch, "10.77.0.2", "198.51.99.7"], check=True, timeout=20)
        gated.end()
    seen = eyes.seen(gated.number)
    assert seen.connections == {("PRIVATE", "ACCEPTED_OUT"): 1, ("PUBLIC", "ACCEPTED_OUT"): 1}
    for peer in ("PRIVATE", "PUBLIC"):
        assert 4096 < seen.traffic[peer, "ACCEPTED_OUT"] < 4096 + 1000


def test_a_megabyte_over_tcp_is_counted_with_little_more(eyes: Eyes) -> None:
    script = """
import socket
own = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
gate()
own.sendall(bytes(1 << 20)); own.shutdown(socket.SHUT_WR); own.recv(1)
"""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        eyes.python(script, listener.getsockname()[1]) as gated,
    ):
        peer, _ = listener.accept()
        reader = threading.Thread(target=_drain, args=(peer,), daemon=True)
        reader.start()
        gated.tell()
        gated.end()
        reader.join()
    sent = eyes.seen(gated.number).traffic["LOOPBACK", "INITIATED_OUT"]
    assert 1 << 20 <= sent < (1 << 20) * 1.05


def test_an_upload_names_the_peer_that_took_most(eyes: Eyes, cable: tuple[str, str]) -> None:
    script = """
import socket
gate()
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
for host, times in (("::ffff:10.77.0.2", 3), ("2a00:77::2", 9), ("::1", 1)):
    for _ in range(times): s.sendto(bytes(1000), (host, 7000))
"""
    eyes.counters.read()
    with eyes.python(script, inside=cable[0]) as gated:
        gated.tell()
        gated.end()
    sent = eyes.counters.read().uploads[gated.number]
    assert [(one.peer, one.sent_bytes) for one in sent] == [
        ("udp [2a00:77::2]:7000", 9 * (1000 + IP6_UDP)),
        ("udp 10.77.0.2:7000", 3 * (1000 + IP_UDP)),
        ("udp [::1]:7000", 1000 + IP6_UDP),
    ]
    assert [one.total_bytes for one in sent] == [one.sent_bytes for one in sent]


def _drain(peer: socket.socket) -> None:
    with peer:
        while peer.recv(65536):
            pass
