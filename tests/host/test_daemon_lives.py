"""A daemon's ends and beginnings: crashes, restarts of what it watches, damaged files."""

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from agent.response.processes import held
from tests.host.daemons import Daemon, Server, grave, wait_for

pytestmark = pytest.mark.timeout(120)

SHELL = "subprocess.Popen(['/bin/sh', '-c', 'sleep 30; true'])"


@dataclass(slots=True)
class Life:
    """A guarding daemon whose server may be frozen, in the order of this file's tests."""

    daemon: Daemon
    server: Server

    def guards(self) -> bool:
        """Whether the server's baseline is ready."""
        return bool(self.daemon.workload(self.server.name).get("state") == "guarding")


@pytest.fixture(scope="module")
def life() -> Iterator[Life]:
    daemon = Daemon()
    server = Server(daemon.at / "freeze")
    try:
        daemon.configure(server.rule("freeze")).start()
        life = Life(daemon, server)
        server.start()
        wait_for(life.guards, 90.0)
        yield life
    finally:
        server.stop()
        daemon.close()


def test_a_restarted_server_is_adopted_again_with_its_baseline_and_no_alarm(life: Life) -> None:
    before = life.server.pid
    life.server.stop()
    life.server.start()
    wait_for(lambda: life.server.pid in life.daemon.workload("freeze")["pids"])
    assert before not in life.daemon.workload("freeze")["pids"]
    time.sleep(7.0)  # through its start-up and some windows of its steady life
    found = life.daemon.workload("freeze")
    assert grave(life.daemon.verdicts()) == []
    assert (found["state"], found["phase"]) == ("guarding", "steady")


def test_what_is_frozen_stays_frozen_when_the_daemon_is_killed(life: Life) -> None:
    life.server.order(SHELL)
    wait_for(lambda: life.daemon.live("freeze"))
    life.daemon.kill()
    time.sleep(0.5)
    assert held(life.server.pid)
    (one,) = life.daemon.json("containments")
    assert one["workload"] == "freeze"
    assert life.daemon.command("status").returncode == 3


def test_a_new_daemon_goes_on_with_containment_number_and_baseline(life: Life) -> None:
    life.daemon.start()
    (one,) = life.daemon.live("freeze")
    (number,) = {c["workload_id"] for c in life.daemon.json("containments")}
    assert one["workload_id"] == number
    found = wait_for(lambda: life.daemon.workload("freeze"))
    assert (found["state"], found["contained"]) == ("guarding", True)
    assert held(life.server.pid)
    assert life.server.pid in found["pids"]


def test_release_works_with_the_daemon_dead(life: Life) -> None:
    (one,) = life.daemon.live("freeze")
    life.daemon.kill()
    life.server.end_intruders()
    answer = life.daemon.command("release", one["id"])
    assert (answer.returncode, answer.stdout) == (0, "Released: freeze.\n")
    wait_for(life.server.answers)
    assert life.daemon.json("containments") == []


def test_a_restart_resumes_guarding_under_the_same_number_and_tells_nothing_twice(
    life: Life,
) -> None:
    life.daemon.start()
    wait_for(life.guards)
    assert life.server.answers()
    time.sleep(3.0)
    assert life.server.answers()
    assert life.daemon.live("freeze") == []
    after = [verdict["id"] for verdict in life.daemon.verdicts()]
    assert len(set(after)) == len(after)
    # The shell before the release: once, by whichever daemon lived long enough to tell it.
    shells = [v for v in life.daemon.verdicts() if "/usr/bin/dash" in v["summary"]]
    assert len(shells) == len(grave(life.daemon.verdicts())) == 1
    life.server.order(SHELL.replace("30", "31"))
    (one,) = wait_for(lambda: life.daemon.live("freeze"))
    assert one["workload_id"] == 1
    life.server.end_intruders()
    life.daemon.ask("release", all=True)


def test_a_damaged_baseline_is_set_aside_and_status_names_it(life: Life) -> None:
    assert life.daemon.stop() == 0
    path = life.daemon.state / "baselines" / "freeze.baseline"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    life.daemon.start()
    answer = life.daemon.command("status", "--json")
    status = json.loads(answer.stdout)
    assert (answer.returncode, status["health"]) == (1, "degraded")
    assert any("freeze.baseline.corrupt-" in reason for reason in status["reasons"])
    (aside,) = path.parent.glob("freeze.baseline.corrupt-*")
    assert aside.read_bytes() == content
    assert life.daemon.workload("freeze")["state"] == "learning"


def test_a_damaged_journal_is_set_aside_and_status_names_it(life: Life) -> None:
    assert life.daemon.stop() == 0
    journal = life.daemon.state / "journal"
    journal.write_bytes(b"no record\n" * 9 + os.urandom(64))
    life.daemon.start()
    answer = life.daemon.command("status", "--json")
    assert answer.returncode == 1
    reasons = json.loads(answer.stdout)["reasons"]
    assert any(str(journal) in reason for reason in reasons), reasons


def test_an_interrupt_ends_it_as_cleanly_as_a_stop(life: Life) -> None:
    os.kill(life.daemon.pid, signal.SIGINT)
    assert life.daemon.process is not None
    assert life.daemon.process.wait(15.0) == 0
