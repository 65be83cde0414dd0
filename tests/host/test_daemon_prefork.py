"""A server that forks its workers: those that were there, and those that come later, are alike."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from agent.response.processes import children
from tests.host.daemons import Daemon, Server, grave, wait_for

pytestmark = pytest.mark.timeout(120)


@dataclass(slots=True)
class Flock:
    """A guarding daemon and a server whose workers ran before it."""

    daemon: Daemon
    server: Server

    def state(self) -> str:
        """Of the baseline."""
        return str(self.daemon.workload(self.server.name).get("state"))


@pytest.fixture(scope="module")
def flock() -> Iterator[Flock]:
    daemon = Daemon()
    server = Server(daemon.at / "flock", script="preforking.py")
    try:
        server.start()
        daemon.configure(server.rule("alert")).start()
        flock = Flock(daemon, server)
        wait_for(lambda: flock.state() == "guarding", 90.0)
        yield flock
    finally:
        server.stop()
        daemon.close()


def test_code_that_was_loaded_before_is_part_of_what_was_learned(flock: Flock) -> None:
    learned = flock.daemon.command("baseline", "show", flock.server.name).stdout
    assert "libsqlite<n>.so" in learned


def test_workers_forked_anew_are_nothing_to_tell(flock: Flock) -> None:
    before, since_ns = set(children(flock.server.pid)), time.time_ns()
    assert before
    os.kill(flock.server.pid, signal.SIGHUP)
    wait_for(lambda: len(set(children(flock.server.pid)) - before) == len(before))
    time.sleep(3.0)  # they import and serve
    assert flock.server.answers()
    assert grave(flock.daemon.verdicts(flock.server.name, since_ns)) == []
    assert flock.state() == "guarding"


def test_what_such_a_worker_does_for_the_first_time_is_told_as_a_workers(flock: Flock) -> None:
    secret = flock.daemon.at / ".aws" / "credentials"
    secret.parent.mkdir()
    secret.write_text("x")
    since_ns = time.monotonic_ns()
    flock.server.do(f"answer = open({str(secret)!r}).read()")
    verdict = flock.daemon.told(flock.server.name, str(secret), since_ns)
    assert verdict["level"] == "critical"
    assert verdict["process"]["role"] == "worker"
