"""After too many containments the agent takes no further step by itself, and says so loudly."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.host.daemons import Daemon, Server, wait_for

pytestmark = pytest.mark.timeout(200)

SHELL = 'subprocess.Popen(["/bin/sh", "-c", "sleep 30; true"])'


@dataclass(frozen=True, slots=True)
class Scene:
    """Two guarded servers that may be frozen, and a breaker that opens with the first."""

    daemon: Daemon
    first: Server
    second: Server


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    daemon = Daemon()
    servers = [Server(daemon.at / name) for name in ("first", "second")]
    try:
        daemon.configure(*(server.rule("freeze") for server in servers))
        many = daemon.config.read_text()
        daemon.config.write_text(many.replace("breaker_count = 1000", "breaker_count = 1"))
        daemon.start()
        for server in servers:
            server.start()
        names = [server.name for server in servers]
        wait_for(lambda: {daemon.workload(n).get("state") for n in names} == {"guarding"}, 120.0)
        yield Scene(daemon, *servers)
    finally:
        for server in servers:
            server.stop()
        daemon.close()


def test_the_containment_that_opens_it_is_followed_by_a_critical_verdict_of_its_own(
    scene: Scene,
) -> None:
    daemon = scene.daemon
    scene.first.order(SHELL)
    (one,) = wait_for(lambda: daemon.live("first"))
    told = daemon.alarm("acts no more on its own", 0, 15.0)
    assert told["level"] == "critical"
    assert "one containment began within 10 minutes (first)" in told["summary"]
    assert told["techniques"] == []
    status = daemon.command("status")
    assert status.returncode == 1
    assert "the breaker is open" in status.stdout
    scene.first.end_intruders()
    assert daemon.command("release", one["id"]).returncode == 0


def test_while_it_is_open_a_critical_verdict_only_tells_and_says_why(scene: Scene) -> None:
    daemon = scene.daemon
    scene.second.order(SHELL)
    verdict = daemon.told("second", "/usr/bin/dash")
    response = verdict["response"]
    assert (verdict["level"], response["action"]) == ("critical", "alert")
    assert response["reason"].startswith("the breaker is open")
    assert scene.second.answers()
    assert daemon.live("second") == []


def test_it_is_told_once_and_an_operator_may_act_all_the_same(scene: Scene) -> None:
    daemon = scene.daemon
    words = ("contain", "second", "--level", "freeze", "--reason", "a test")
    assert daemon.command(*words).returncode == 6
    assert daemon.command(*words, "--force").returncode == 0
    told = [v for v in daemon.verdicts("inferward-agent") if "acts no more" in v["summary"]]
    assert len(told) == 1
    assert daemon.command("release", "--all").returncode == 0
    wait_for(scene.second.answers)


def test_a_higher_count_closes_it_at_a_hangup(scene: Scene) -> None:
    daemon = scene.daemon
    assert "the breaker is open" in daemon.command("status").stdout
    few = daemon.config.read_text()
    daemon.config.write_text(few.replace("breaker_count = 1", "breaker_count = 1000"))
    os.kill(daemon.pid, signal.SIGHUP)
    wait_for(lambda: "the breaker is open" not in daemon.command("status").stdout)
    words = ("contain", "second", "--level", "contain", "--reason", "a test")
    assert daemon.command(*words).returncode == 0
    assert daemon.command("release", "--all").returncode == 0
