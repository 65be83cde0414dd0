"""A limited workload sends so much an hour on connections of its own, and serves on."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from agent.errors import RefusedError
from agent.response.breaker import Breaker
from agent.response.containment import Step, Target
from agent.response.containments import Containments
from agent.response.pinned import PinnedSwitch
from agent.response.processes import read_process
from tests.host import nets
from tests.host.eyes import LIMIT_S, Eyes, Gated

BUDGET_BYTES = 1_000_000
BURST_BYTES = 66_000
"""One packet as the egress hook sees it: up to 64 KiB before the device cuts it, and headers."""

SENDER = """
import socket, threading
own = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
listener = socket.create_server(("127.0.0.1", 0))
gate()
print(listener.getsockname()[1], flush=True)
def serve():
    client, _ = listener.accept()
    while client.recv(64):
        client.send(b"reply" * 20000)
threading.Thread(target=serve, daemon=True).start()
sys.stdin.readline()
while True:
    own.sendall(bytes(4096))
"""

DATAGRAMS = """
import socket
gate()
for host in sys.argv[3:]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sent = 0
    with socket.socket(family, socket.SOCK_DGRAM) as line:
        for _ in range(int(sys.argv[2])):
            try:
                line.sendto(bytes(1000), (host, int(sys.argv[1])))
                sent += 1
            except PermissionError:
                pass
    print(host, sent, flush=True)
"""
TRIES = 400
HEADERS = {4: 28, 6: 48}
"""Bytes in front of a datagram's, by the version of IP."""

BY_CLASS = {"public": 200_000, "private": 300_000, "metadata": 50_000}


class Sink:
    """Takes what comes and counts it."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.received = 0
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        with self.listener, suppress(OSError):
            client, _ = self.listener.accept()
            with client:
                while chunk := client.recv(1 << 16):
                    self.received += len(chunk)


@pytest.fixture(scope="module")
def switch(eyes: Eyes) -> PinnedSwitch:
    opened = PinnedSwitch.open(eyes.sensor.pins, eyes.sensor.schema)
    assert opened is not None
    return opened


@pytest.fixture
def here(tmp_path: Path, switch: PinnedSwitch) -> Iterator[Containments]:
    containments = Containments(tmp_path / "state", switch, breaker=Breaker(1000))
    yield containments
    containments.release_all()


def target_of(gated: Gated) -> Target:
    found = read_process(gated.pid)
    assert found is not None
    return Target("sender", gated.number, (found.id,))


def wait_for(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def settles(sink: Sink) -> int:
    """What has come when nothing comes any more."""
    before = -1
    while sink.received != before:
        before = sink.received
        time.sleep(0.3)
    return before


def limit(here: Containments, gated: Gated, budget_bytes: int = BUDGET_BYTES) -> str:
    target, limits = target_of(gated), {"loopback": budget_bytes}
    done = here.contain(target, Step.LIMIT, 60, "a test", "tester", upload_bytes=limits)
    return done.id


def test_an_upload_ends_at_its_budget_and_clients_are_served_on(
    eyes: Eyes, here: Containments, switch: PinnedSwitch
) -> None:
    sink = Sink()
    with eyes.python(SENDER, sink.port) as gated:
        gated.tell()
        port = int(gated.hear())
        one = limit(here, gated)
        gated.tell()
        came = settles(sink)
        assert BUDGET_BYTES - 2 * BURST_BYTES < came <= BUDGET_BYTES + BURST_BYTES
        address = ("127.0.0.1", port)
        with socket.create_connection(address) as client, client.makefile("rb") as replies:
            for _ in range(20):
                client.send(b"request")
                assert len(replies.read(100_000)) == 100_000
        sent = switch.sent(gated.number)["loopback"]
        assert came <= sent.spent_bytes <= BUDGET_BYTES
        assert sent.refused_bytes > 0
        here.release(one)
        assert switch.sent(gated.number) == {}
        wait_for(lambda: sink.received > came + 2 * BUDGET_BYTES)


def test_each_class_of_peer_has_a_budget_of_its_own_and_the_others_none(
    eyes: Eyes, here: Containments, switch: PinnedSwitch
) -> None:
    if why := nets.missing():
        pytest.skip(why)
    sent: dict[str, int] = {}
    with (
        nets.cable() as (near, _),
        eyes.python(DATAGRAMS, nets.PORT, TRIES, *nets.FAR, inside=near) as gated,
    ):
        here.contain(
            target_of(gated), Step.LIMIT, 60, "a test", "tester", upload_bytes=BY_CLASS
        )  # fmt: skip
        gated.tell()
        for host, peer in nets.FAR.items():
            told, _, count = gated.hear().partition(" ")
            assert told == host
            size = 1000 + HEADERS[6 if ":" in host else 4]
            sent[peer.lower()] = sent.get(peer.lower(), 0) + int(count) * size
        counted = switch.sent(gated.number)
    for peer, budget in BY_CLASS.items():
        assert budget - 2000 < sent[peer] <= budget
        assert counted[peer].spent_bytes == sent[peer]
        assert counted[peer].refused_bytes > 0
    assert sent["link"] == TRIES * (1000 + HEADERS[4])


def test_when_its_time_is_over_a_new_budget_begins(eyes: Eyes) -> None:
    sink = Sink()
    with eyes.python(SENDER, sink.port) as gated:
        gated.tell()
        gated.hear()
        limit_for(eyes, gated.number, BUDGET_BYTES, window_s=1.0)
        began = time.monotonic()
        gated.tell()
        wait_for(lambda: sink.received > 2 * BUDGET_BYTES)
        windows = 2 + int(time.monotonic() - began)
        assert sink.received <= windows * (BUDGET_BYTES + BURST_BYTES)
        limit_for(eyes, gated.number, 0, window_s=0)


def limit_for(eyes: Eyes, number: int, budget_bytes: int, window_s: float) -> None:
    """Write a budget for another time than the hour that response writes."""
    value = np.zeros(1, eyes.sensor.schema.dtype("upload_budget"))
    loopback = eyes.sensor.schema.enum("peer_class")["PEER_LOOPBACK"]
    value["window_ns"], value["limit_bytes"][0, loopback] = int(window_s * 1e9), budget_bytes
    eyes.sensor.maps["budgets"].set(np.uint32(number).tobytes(), value.tobytes())


def test_another_agent_finds_the_budget_in_force_and_what_is_spent_stays_spent(
    eyes: Eyes, here: Containments, switch: PinnedSwitch, tmp_path: Path
) -> None:
    sink = Sink()
    with eyes.python(SENDER, sink.port) as gated:
        gated.tell()
        gated.hear()
        one = limit(here, gated)
        gated.tell()
        came = settles(sink)
        (again,) = Containments(tmp_path / "state", switch, breaker=Breaker(1000)).recover()
        assert (again.id, again.step, again.upload_bytes) == (
            one,
            Step.LIMIT,
            {"loopback": BUDGET_BYTES},
        )
        assert settles(sink) <= came + BURST_BYTES


def test_a_limited_workload_that_is_contained_sends_nothing(
    eyes: Eyes, here: Containments, switch: PinnedSwitch
) -> None:
    sink = Sink()
    with eyes.python(SENDER, sink.port) as gated:
        gated.tell()
        gated.hear()
        limit(here, gated, 1 << 40)
        gated.tell()
        wait_for(lambda: sink.received > BUDGET_BYTES)
        done = here.contain(target_of(gated), Step.CONTAIN, 60, "a test", "tester")
        assert (done.step, done.upload_bytes) == (Step.CONTAIN, {"loopback": 1 << 40})
        before = settles(sink)
        time.sleep(0.3)
        assert sink.received == before
        here.release(done.id)
        assert switch.switched() == {}


def test_an_expired_limit_ends_in_the_kernel_without_an_agent(
    eyes: Eyes, here: Containments
) -> None:
    sink = Sink()
    with eyes.python(SENDER, sink.port) as gated:
        gated.tell()
        gated.hear()
        limits = {"loopback": BUDGET_BYTES}
        here.contain(target_of(gated), Step.LIMIT, 1.5, "a test", "tester", upload_bytes=limits)
        gated.tell()
        wait_for(lambda: sink.received > 3 * BUDGET_BYTES)


def test_a_limit_without_a_budget_is_refused(here: Containments) -> None:
    with pytest.raises(RefusedError):
        here.contain(Target("w", 9), Step.LIMIT, None, "a test", "tester")
    assert here.list() == ()
