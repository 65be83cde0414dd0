"""A server that was watched while it started: what belongs to its start excuses nothing later."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.host.daemons import LEVELS, Daemon, Server, grave, rank, wait_for

pytestmark = pytest.mark.timeout(180)

SHELL = "answer = subprocess.run(['/bin/sh', '-c', 'true; true']).returncode"
RELOAD = "answer = len((home / 'model.safetensors').read_bytes())"


@dataclass(slots=True)
class Life:
    """A guarding daemon that learned a server from its start on."""

    daemon: Daemon
    server: Server

    def phase(self) -> str:
        """Of the server, by the status."""
        return str(self.daemon.workload(self.server.name).get("phase"))

    def shells(self, since_ns: int) -> list[dict[str, object]]:
        """Verdicts about a shell since then."""
        told = self.daemon.verdicts(self.server.name, since_ns)
        return [v for v in told if any(n["item"].endswith("/dash") for n in v["novel"])]


@pytest.fixture(scope="module")
def life() -> Iterator[Life]:
    daemon = Daemon()
    server = Server(daemon.at / "shelling", script="shelling.py")
    try:
        daemon.configure(server.rule("alert")).start()
        server.start()
        life = Life(daemon, server)
        wait_for(lambda: daemon.workload(server.name).get("state") == "guarding", 90.0)
        yield life
    finally:
        server.stop()
        daemon.close()


def test_its_start_up_was_learned_as_one(life: Life) -> None:
    shown = life.daemon.json("baseline", "show", life.server.name)
    assert "start-up" in shown["phases"]
    assert shown["only_in_phases"]["start-up"] >= 1


def test_weights_read_anew_are_a_reload_and_nothing_to_tell(life: Life) -> None:
    since_ns = time.time_ns()
    for _ in range(3):
        life.server.do(RELOAD)
        wait_for(lambda: life.phase() == "reload", 5.0)
    assert grave(life.daemon.verdicts(life.server.name, since_ns)) == []


def test_a_shell_in_a_reload_is_at_least_high(life: Life) -> None:
    since_ns = time.time_ns()
    life.server.do(RELOAD)
    wait_for(lambda: life.phase() == "reload", 5.0)
    life.server.do(SHELL)
    (found,) = wait_for(lambda: life.shells(since_ns))[:1]
    assert rank(found) >= LEVELS.index("high")


def test_a_restart_is_nothing_to_tell_though_it_runs_a_shell(life: Life) -> None:
    time.sleep(11.0)  # nothing adds up with what was before
    since_ns = time.time_ns()
    life.server.stop()
    life.server.start()
    wait_for(lambda: life.server.pid in life.daemon.workload(life.server.name)["pids"])
    wait_for(lambda: life.phase() == "steady", 30.0)
    assert grave(life.daemon.verdicts(life.server.name, since_ns)) == []


def test_a_shell_of_the_serving_server_is_critical_though_its_start_runs_one(life: Life) -> None:
    since_ns = time.time_ns()
    life.server.do(SHELL)
    (found,) = wait_for(lambda: life.shells(since_ns))[:1]
    assert found["level"] == "critical"
    assert "start-up alone" in str(found["summary"])


def test_a_shell_called_for_right_after_a_restart_is_at_least_high(life: Life) -> None:
    time.sleep(11.0)
    life.server.stop()
    life.server.start()
    wait_for(lambda: life.phase() == "warm-up", 30.0)
    since_ns = time.time_ns()
    life.server.do(SHELL)
    (found,) = wait_for(lambda: life.shells(since_ns))[:1]
    assert rank(found) >= LEVELS.index("high")
