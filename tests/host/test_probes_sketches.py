"""What bodies consist of, counted by the real probes on a real server: exactly so many 3-grams, as
a reference in Python counts them, and nothing of a workload that nobody named."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from agent.daemon.modes import Modes, Tap
from collectors.sketches import RouteSketch, Sketches
from tests.host.eyes import Eyes
from tests.host.test_probes_requests import Watched, ask, request, served
from tests.replay.test_sketches import reference

MOST = 512


class Reading:
    """A server, and the sketches of it since it began."""

    def __init__(self, server: Watched, salt: bytes) -> None:
        self.server, self.salt = server, salt
        self.number = server.gated.number
        self.sketches = Sketches(server.eyes.sensor)

    def read(self) -> dict[str, RouteSketch]:
        time.sleep(0.1)
        return {one.route: one for one in self.sketches.read().get(self.number, ())}

    def counts(self, *bodies: bytes) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        salt = (int.from_bytes(self.salt[:8], "little"), int.from_bytes(self.salt[8:], "little"))
        counts = np.zeros(256, np.int64)
        for body in bodies:
            counts += reference(body, MOST, salt)
        return counts


@contextmanager
def tapped(eyes: Eyes, host: str = "127.0.0.1") -> Iterator[Reading]:
    salt = secrets.token_bytes(16)
    with served(eyes, host) as server:
        modes = Modes(eyes.sensor)
        modes.tap(server.gated.number, Tap(MOST, salt))
        yield Reading(server, salt)
        modes.untap()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_every_gram_of_every_body_is_counted(eyes: Eyes, host: str) -> None:
    rng = np.random.default_rng(1)
    bodies = [rng.bytes(int(size)) for size in rng.integers(1, 3000, 101)]
    with tapped(eyes, host) as reading:
        with reading.server.connect() as line:
            for at, body in enumerate(bodies):
                ask(line, request(f"/v1/items/{at}?q=1", body))
        found = reading.read()
        assert not reading.read()
    assert list(found) == ["POST /v1/items/<n>"]
    (one,) = found.values()
    assert (one.counts == reading.counts(*bodies)).all()
    assert one.requests == len(bodies)
    assert one.counts.sum() == sum(max(0, min(len(body), MOST) - 2) for body in bodies)


def test_single_bytes_and_a_large_body_make_the_same(eyes: Eyes) -> None:
    small, large = b"a body in single bytes", np.random.default_rng(2).bytes(200_000)
    with tapped(eyes) as reading:
        with reading.server.connect() as line:
            for byte in request("/slow", small)[:-1]:
                line.sendall(bytes([byte]))
            ask(line, request("/slow", small)[-1:])
            ask(line, request("/slow", large))
        (one,) = reading.read().values()
    assert (one.counts == reading.counts(small, large)).all()


def test_what_an_agent_before_had_counted_is_dropped(eyes: Eyes) -> None:
    with tapped(eyes) as reading:
        with reading.server.connect() as line:
            ask(line, request("/a", b"what somebody asks"))
        again = Sketches(eyes.sensor)
        assert not again.read()
        assert not len(eyes.sensor.maps["sketches"].items()[0])


def test_a_workload_that_nobody_named_has_none(eyes: Eyes) -> None:
    with served(eyes) as server:
        sketches = Sketches(eyes.sensor)
        with server.connect() as line:
            ask(line, request("/a", b"what somebody asks"))
        assert server.gated.number not in sketches.read()


def test_what_is_switched_off_is_read_no_more_and_can_be_dropped(eyes: Eyes) -> None:
    with tapped(eyes) as reading:
        with reading.server.connect() as line:
            ask(line, request("/a", b"what somebody asks"))
            assert reading.read()
            assert Modes(eyes.sensor).untap() == [reading.number]
            ask(line, request("/a", b"what somebody asks"))
        assert not reading.read()
        reading.sketches.forget(reading.number)
        keys, _ = eyes.sensor.maps["sketches"].items()
        numbers = keys.view(eyes.sensor.schema.dtype("route_key"))["workload"]
        assert reading.number not in numbers
