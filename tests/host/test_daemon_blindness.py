"""Whoever takes the daemon's eyes away is told of within ten seconds, and the eyes come back."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from agent.daemon.alarms import NAME
from probes.holding import LINKS
from probes.maps import BpfMap
from tests.host.daemons import Daemon, Server, Verdict, wait_for

pytestmark = pytest.mark.timeout(120)

NOTICED_S = 10.0
LEARN_SLOWLY = "[learning]\nmin_windows = 9999\n"


@dataclass(slots=True)
class Watch:
    """A daemon and the server it watches."""

    daemon: Daemon
    server: Server

    def alarm(self, words: str, since_ns: int) -> Verdict:
        """Wait for a verdict about the agent that says so."""
        return self.daemon.alarm(words, since_ns, NOTICED_S)


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    daemon = Daemon()
    server = Server(daemon.at / "seen")
    try:
        server.start()
        daemon.configure(server.rule("alert")).start()
        wait_for(lambda: daemon.workload("seen").get("pids"))
        yield Watch(daemon, server)
    finally:
        server.stop()
        daemon.close()


def test_nobody_touched_anything_and_nothing_is_told(watch: Watch) -> None:
    time.sleep(6.0)
    assert watch.daemon.verdicts(NAME) == []
    assert not [r for r in watch.daemon.status()["reasons"] if "eyes" in r]


def test_a_removed_pin_and_a_detached_link_are_back_and_told(watch: Watch) -> None:
    since_ns = time.time_ns()
    links = watch.daemon.pins / LINKS
    (links / "on_sys_exit").unlink()
    subprocess.run(["bpftool", "link", "detach", "pinned", links / "on_connect4"], check=True)
    verdict = watch.alarm("on_connect4 was detached from its hook", since_ns)
    assert verdict["level"] == "high"
    assert {n["kind"] for n in verdict["novel"]} == {"probe"}
    assert any("on_sys_exit lost its pin" in n["item"] for n in verdict["novel"])
    wait_for((links / "on_sys_exit").exists)
    status = watch.daemon.status()
    assert status["health"] == "degraded"
    assert any("on_connect4 was detached" in reason for reason in status["reasons"])


def test_a_list_of_members_that_was_wiped_is_written_again(watch: Watch) -> None:
    since_ns = time.time_ns()
    before = watch.daemon.workload("seen")["pids"]
    members = BpfMap.pinned(watch.daemon.pins, "members")
    keys, _ = members.items()
    members.delete_many(keys)
    members.close()
    watch.alarm("members were taken out of the kernel's list", since_ns)
    assert watch.daemon.workload("seen")["pids"] == before
    assert watch.server.answers()


def test_a_second_reader_of_the_ring_is_told_of(watch: Watch) -> None:
    since_ns = time.time_ns()
    thief = (
        "import sys, time\nfrom pathlib import Path\nfrom probes import schema\n"
        "from probes.loader import OBJECT\nfrom probes.maps import BpfMap\n"
        "from probes.ring import Ring\n"
        "ring = Ring(BpfMap.pinned(Path(sys.argv[1]), 'ring'), schema.load(OBJECT))\n"
        "print('ready', flush=True)\nend = time.monotonic() + 4\n"
        "while time.monotonic() < end:\n    ring.peek(); ring.advance()\n"
    )
    command = ["nice", "-n", "-5", sys.executable, "-c", thief, str(watch.daemon.pins)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        turn = 0
        while process.poll() is None:
            turn += 1
            (watch.server.home / f"new-{turn}").touch()
            watch.server.do(f"open(home / 'new-{turn}').close(); answer = 1")
    watch.alarm("another reader took", since_ns)


def test_eyes_that_cannot_come_back_make_the_agent_unhealthy(watch: Watch) -> None:
    pins = watch.daemon.pins
    try:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", pins], check=True)
        wait_for(lambda: watch.daemon.status()["health"] == "unhealthy", NOTICED_S)
        answer = watch.daemon.command("status", "--json")
        assert answer.returncode == 2
        reasons = " ".join(json.loads(answer.stdout)["reasons"])
        assert "no longer in a mounted bpffs" in reasons
    finally:
        subprocess.run(["umount", pins], check=True)
    wait_for(lambda: watch.daemon.status()["health"] != "unhealthy", NOTICED_S)


def test_a_server_that_only_computes_is_not_called_blind(watch: Watch) -> None:
    watch.server.order("end = time.thread_time() + 6\nwhile time.thread_time() < end: pass")
    time.sleep(7.0)
    assert not [r for r in watch.daemon.status()["reasons"] if "no call of it" in r]
