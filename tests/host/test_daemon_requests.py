"""A learned server that is swept by a client or told to load something; and one that is asked as
before."""

import http.client
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.host.daemons import Daemon, Server, grave, rank, wait_for
from tests.host.test_probes_fields import POST, PREFACE, field, heads
from tests.host.test_probes_requests import frame

pytestmark = pytest.mark.timeout(120)

MEDIUM, HIGH = 2, 3


@dataclass(slots=True)
class Scene:
    """A guarded server."""

    daemon: Daemon
    server: Server

    def call(self, path: str) -> None:
        """Ask over HTTP/2, as gRPC does."""
        block = POST + field(4, path, coded=True) + field("te", "trailers")
        with socket.create_connection(("127.0.0.1", self.server.port), 10) as line:
            line.sendall(PREFACE + frame(4, 0, 0) + heads(block))
            got = b""
            while b"grpc-status" not in got:
                got += line.recv(4096)

    def ask(self, method: str, *paths: str) -> None:
        """Ask each of these, one connection each."""
        for path in paths:
            line = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
            line.request(method, path, "answer = 1" if method == "POST" else None)
            line.getresponse().read()
            line.close()


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    daemon = Daemon()
    server = Server(daemon.at / "asked")
    try:
        daemon.configure(server.rule("alert"))
        server.start()
        daemon.start()
        wait_for(lambda: daemon.workload(server.name).get("state") == "guarding", 60.0)
        yield Scene(daemon, server)
    finally:
        server.stop()
        daemon.close()


def test_looks_at_its_health_and_what_it_was_always_asked_are_nothing(scene: Scene) -> None:
    since_ns = time.time_ns()
    scene.ask("GET", *["/healthz", "/metrics", "/"] * 5)
    time.sleep(1.0)
    assert not grave(scene.daemon.verdicts(scene.server.name, since_ns))


def test_what_is_asked_shows_live_and_in_the_status(scene: Scene) -> None:
    shown = scene.daemon.json("top", "--once")
    (mine,) = (one for one in shown["workloads"] if one["name"] == scene.server.name)
    assert mine["requests"] > 5
    assert mine["answer_wait_p50"] > 0
    assert mine["clients"] == 1
    status = scene.daemon.status()
    assert status["sensors"]["request"]["events"] >= 100
    assert status["sensors"]["request"]["lost"] == 0
    (stage,) = (one for one in status["stages"] if one["stage"] == "requests")
    assert stage["in"] >= stage["out"] > 0
    assert not stage["lost"]


def test_a_management_call_that_was_never_made_is_high(scene: Scene) -> None:
    since_ns = time.monotonic_ns()
    scene.ask("POST", "/v1/load_lora_adapter?name=x")
    verdict = scene.daemon.told(scene.server.name, "POST /v1/load_lora_adapter", since_ns)
    assert rank(verdict) >= HIGH
    assert "was asked for POST /v1/load_lora_adapter" in verdict["summary"]


def test_one_over_grpc_is_too(scene: Scene) -> None:
    since_ns = time.monotonic_ns()
    scene.call("/inference.GRPCInferenceService/RepositoryIndex")
    scene.call("/inference.GRPCInferenceService/RepositoryModelLoad")
    call = "POST /inference.GRPCInferenceService/RepositoryModelLoad"
    verdict = scene.daemon.told(scene.server.name, call, since_ns)
    assert rank(verdict) >= HIGH
    assert f"was asked for {call}" in verdict["summary"]
    scene.daemon.told(scene.server.name, call.replace("ModelLoad", "Index"), since_ns)


def test_one_that_is_turned_away_is_not(scene: Scene) -> None:
    since_ns = time.monotonic_ns()
    scene.ask("DELETE", "/models/x")
    verdict = scene.daemon.told(scene.server.name, "DELETE /models/x", since_ns)
    (item,) = [n for n in verdict["novel"] if n["item"] == "DELETE /models/x"]
    assert (item["level"], item["sensitive"]) == ("low", False)
    assert "turned it away" in item["reason"]


def test_a_client_that_asks_for_ever_different_things_is_a_verdict(scene: Scene) -> None:
    since_ns = time.monotonic_ns()
    scene.ask("GET", *(f"/?input={at}" for at in range(250)))
    verdict = scene.daemon.told(scene.server.name, "client-sweep", since_ns)
    assert rank(verdict) >= MEDIUM
    assert "127.0.0.1" in verdict["summary"]
    assert "AML.T0024" in verdict["techniques"]


def test_eight_new_kinds_of_request_at_once_are_a_probe(scene: Scene) -> None:
    since_ns = time.monotonic_ns()
    scene.ask("GET", *(f"/{name}.php" for name in "abcdefghijklmnopqrst"))
    assert rank(scene.daemon.told(scene.server.name, "routes-probed", since_ns)) >= MEDIUM
