"""A learned server that searches the network or asks for the cloud's credentials, and one that only
misses a dependency."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.host import nets
from tests.host.daemons import Daemon, Server, Verdict, grave, rank, wait_for

pytestmark = pytest.mark.timeout(120)

HIGH, CRITICAL = 3, 4
DEAD_PORT = 1021
RETRY = f"""
import threading
def retry():
    while True:
        with socket.socket() as s: s.connect_ex(("127.0.0.1", {DEAD_PORT}))
        time.sleep(0.2)
threading.Thread(target=retry, daemon=True).start()
"""
SWEEP = """
for port in range({first}, {first} + 20):
    with socket.socket() as s: s.connect_ex(("127.0.0.1", port))
"""
CONTACT = """
s = socket.socket(fileno={fd})
s.settimeout(5)
answer = s.connect_ex(({host!r}, {port}))
s.close()
"""
UPLOAD = """
with socket.create_connection(("127.0.0.1", {port})) as s: s.sendall(bytes(32 << 20))
"""
DATAGRAM = """
s = socket.socket(fileno={fd})
s.sendto(b"x", ({host!r}, {port}))
s.close()
"""
V4, V6 = int(socket.AF_INET), int(socket.AF_INET6)
TCP, UDP = int(socket.SOCK_STREAM), int(socket.SOCK_DGRAM)


@dataclass(slots=True)
class Scene:
    """A guarded server with sockets of another namespace in its hands."""

    daemon: Daemon
    server: Server
    held: dict[tuple[int, int], list[int]]

    def take(self, family: int, kind: int) -> int:
        """A descriptor nobody used yet."""
        return self.held[family, kind].pop()


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    if why := nets.missing():
        pytest.skip(why)
    kinds = [(family, kind) for family in (V4, V6) for kind in (TCP, UDP)] * 4
    with nets.cable() as (near, _):
        made = nets.sockets(near, kinds)
        daemon = Daemon()
        fds = tuple(one.fileno() for one in made)
        server = Server(daemon.at / "caller", fds=fds)
        held: dict[tuple[int, int], list[int]] = {}
        for kind, fd in zip(kinds, fds, strict=True):
            held.setdefault(kind, []).append(fd)
        try:
            daemon.configure(server.rule("alert")).start()
            server.start()
            wait_for(lambda: daemon.workload("caller"))
            server.do(RETRY)
            wait_for(lambda: daemon.workload("caller").get("state") == "guarding", 90.0)
            yield Scene(daemon, server, held)
        finally:
            server.stop()
            daemon.close()
            for one in made:
                one.close()


def test_a_server_that_retries_its_dead_dependency_is_quiet(scene: Scene) -> None:
    time.sleep(3.0)
    assert grave(scene.daemon.verdicts()) == []


def test_a_sweep_over_closed_ports_is_a_search(scene: Scene) -> None:
    since_ns = time.monotonic_ns()
    scene.server.do(SWEEP.format(first=1101))
    verdict = scene.daemon.told("caller", "sweep 127.0.0.1", since_ns)
    assert rank(verdict) >= HIGH
    assert "T1046" in verdict["techniques"]
    (sweep,) = [new for new in verdict["novel"] if new["item"] == "sweep 127.0.0.1"]
    assert (sweep["level"], sweep["pid"]) == ("high", scene.server.pid)


def test_an_upload_names_its_peer_and_how_much_it_took(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sink:
        port = sink.getsockname()[1]
        taking = threading.Thread(target=_drain, args=(sink,), daemon=True)
        taking.start()
        scene.server.do(UPLOAD.format(port=port))
        taking.join()

    def named() -> Verdict:
        found = (v for v in scene.daemon.verdicts("caller") if v["uploads"])
        return next((v for v in found if v["uploads"][0]["peer"] == f"tcp 127.0.0.1:{port}"), {})

    verdict = wait_for(named)
    assert rank(verdict) >= HIGH
    explained = scene.daemon.command("explain", verdict["id"]).stdout
    assert f"to tcp 127.0.0.1:{port}" in explained
    assert "Sent on its own connections" in explained


def _drain(sink: socket.socket) -> None:
    line, _ = sink.accept()
    with line:
        while line.recv(1 << 20):
            pass


@pytest.mark.parametrize(
    ("family", "host", "told"),
    [
        (V4, "169.254.169.254", "169.254.169.254"),
        (V6, "::ffff:169.254.170.2", "169.254.170.2"),
        (V6, "fd00:ec2::254", "[fd00:ec2::254]"),
    ],
)
def test_contact_with_a_metadata_address_is_critical(
    scene: Scene, family: int, host: str, told: str
) -> None:
    since_ns = time.monotonic_ns()
    fd = scene.take(family, TCP)
    assert scene.server.do(CONTACT.format(fd=fd, host=host, port=nets.PORT)) == 0
    verdict = scene.daemon.told("caller", f"tcp {told}:{nets.PORT}", since_ns)
    assert rank(verdict) == CRITICAL
    (contact,) = [new for new in verdict["novel"] if new["item"] == f"tcp {told}:{nets.PORT}"]
    assert contact["sensitive"]


def test_a_datagram_to_a_metadata_address_is_critical(scene: Scene) -> None:
    since_ns = time.monotonic_ns()
    fd = scene.take(V6, UDP)
    scene.server.do(DATAGRAM.format(fd=fd, host="fd00:ec2::254", port=53))
    assert rank(scene.daemon.told("caller", "udp [fd00:ec2::254]:53", since_ns)) == CRITICAL


def test_a_metadata_address_that_does_not_answer_is_critical(scene: Scene) -> None:
    since_ns = time.monotonic_ns()
    fd = scene.take(V4, TCP)
    assert scene.server.do(CONTACT.format(fd=fd, host="169.254.169.254", port=81)) != 0
    verdict = scene.daemon.told("caller", "refused tcp 169.254.169.254:81", since_ns)
    assert rank(verdict) == CRITICAL
