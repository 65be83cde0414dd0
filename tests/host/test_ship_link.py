"""The link against a central that answers as it pleases: a real socket, and a hand that writes."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from agent.ship.curve import new_pair
from agent.ship.link import Link
from agent.ship.outbox import Outbox
from agent.ship.settings import ShipSettings
from agent.ship.wire import pack, unpack


class Central:
    """Hears one host; answers only what it is told to."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self.pair = new_pair()
        self._socket.curve_secretkey = self.pair.secret.encode()
        self._socket.curve_server = True
        self.endpoint = f"tcp://127.0.0.1:{self._socket.bind_to_random_port('tcp://127.0.0.1')}"
        self.heard: list[dict[str, Any]] = []

    def answer(self, *kinds: str) -> None:
        """Read what came, and acknowledge messages of these kinds."""
        while self._socket.poll(10):
            peer, body = self._socket.recv_multipart()
            message = dict(unpack(body))
            self.heard.append(message)
            if message["kind"] in kinds:
                last = message["rows"][-1][0] if message["kind"] == "verdicts" else 0
                facts = {"epoch": message["epoch"], "sequence": last, "refused": 0}
                self._socket.send_multipart([peer, pack("ack", **facts)])

    def batches(self) -> int:
        return sum(message["kind"] == "verdicts" for message in self.heard)

    def close(self) -> None:
        self._socket.close(0)
        self._context.term()


@pytest.fixture
def central() -> Iterator[Central]:
    found = Central()
    yield found
    found.close()


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    found = Outbox.open(tmp_path / "o.db", max_bytes=1 << 20)
    yield found
    found.close()


@pytest.fixture
def link(central: Central, outbox: Outbox, tmp_path: Path) -> Iterator[Link]:
    settings = ShipSettings(
        host="h1", endpoints=(central.endpoint,), central_key=central.pair.public,
        outbox=tmp_path / "o.db", heartbeat_s=0.05, ack_timeout_s=0.3,
    )  # fmt: skip
    found = Link(settings, new_pair(), outbox)
    yield found
    found.close({})


def test_a_batch_whose_answer_was_lost_is_sent_again_though_heartbeats_are_answered(
    central: Central, outbox: Outbox, link: Link
) -> None:
    outbox.put({"id": "1", "level": "high"})
    give_up_s = time.monotonic() + 10.0
    while central.batches() < 2:
        assert time.monotonic() < give_up_s, central.heard[-3:]
        link.step(0.01, {})
        central.answer("heartbeat")
    while link.acked == 0:
        assert time.monotonic() < give_up_s, central.heard[-3:]
        link.step(0.01, {})
        central.answer("heartbeat", "verdicts")
    assert (len(outbox), link.connected, link.problem) == (0, True, "")


def test_an_answer_to_a_heartbeat_is_none_to_the_batch(
    central: Central, outbox: Outbox, link: Link
) -> None:
    outbox.put({"id": "1", "level": "high"})
    give_up_s = time.monotonic() + 0.25  # less than a batch is waited for
    while time.monotonic() < give_up_s:
        link.step(0.01, {})
        central.answer("heartbeat")
    assert (link.acked, len(outbox)) == (0, 1)
