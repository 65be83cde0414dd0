"""Whoever stops or traces the daemon, or changes its files behind its back, is told of."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from agent.daemon.alarms import NAME
from tests.host.daemons import Daemon, Server, Verdict, wait_for
from tests.host.groups import frozen

pytestmark = pytest.mark.timeout(120)

NOTICED_S = 10.0
STOPPED_S = 4.5

SEIZE = """
import ctypes, sys, time
SEIZE = 0x4206
if ctypes.CDLL(None, use_errno=True).ptrace(SEIZE, int(sys.argv[1]), None, None):
    raise SystemExit(ctypes.get_errno())
print("traces", flush=True)
time.sleep(30)
"""


@dataclass(slots=True)
class Watch:
    """A daemon with a baseline on disk."""

    daemon: Daemon
    server: Server

    def told(self, words: str, since_ns: int) -> Verdict:
        """Wait for a verdict about the agent that says so."""
        return self.daemon.alarm(words, since_ns, NOTICED_S)


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    daemon = Daemon()
    server = Server(daemon.at / "kept")
    try:
        server.start()
        daemon.configure(server.rule("alert")).start()
        wait_for((daemon.state / "baselines" / "kept.baseline").exists, 90.0)
        yield Watch(daemon, server)
    finally:
        server.stop()
        daemon.close()


def test_nobody_touched_anything_and_nothing_is_told(watch: Watch) -> None:
    time.sleep(3.0)
    assert watch.daemon.verdicts(NAME) == []


def test_a_daemon_that_was_stopped_says_so_when_it_goes_on(watch: Watch) -> None:
    since_ns = time.time_ns()
    os.kill(watch.daemon.pid, signal.SIGSTOP)
    time.sleep(STOPPED_S)
    os.kill(watch.daemon.pid, signal.SIGCONT)
    verdict = watch.told("was stopped and continued by a signal", since_ns)
    assert verdict["level"] == "high"
    assert verdict["window"]["length_s"] >= STOPPED_S - 2
    assert "T1562.001" in verdict["techniques"]


def test_a_daemon_that_was_frozen_says_so_when_it_goes_on(watch: Watch) -> None:
    since_ns = time.time_ns()
    with frozen(watch.daemon.pid):
        time.sleep(STOPPED_S + 1)
    assert watch.told("the agent stood still for", since_ns)["level"] == "high"


def test_a_daemon_that_is_traced_names_who_does(watch: Watch) -> None:
    since_ns = time.time_ns()
    line = [sys.executable, "-ISc", SEIZE, str(watch.daemon.pid)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as tracer:
        assert tracer.stdout is not None
        assert tracer.stdout.readline() == "traces\n"
        verdict = watch.told("traces the agent", since_ns)
        assert f"process {tracer.pid} (" in verdict["summary"]
        assert verdict["level"] == "high"
        tracer.kill()


def test_a_configuration_that_was_changed_is_told_and_not_in_force(watch: Watch) -> None:
    since_ns, config = time.time_ns(), watch.daemon.config
    config.write_text(config.read_text() + '\n[agent]\nrespond = "kill"\n')
    verdict = watch.told(f"{config} was changed", since_ns)
    assert verdict["level"] == "medium"
    drop_in = config.parent / "agent.d" / "mine.toml"
    drop_in.parent.mkdir()
    drop_in.write_text("[budget]\nrss_mib = 200\n")
    watch.told(f"{drop_in} was added", since_ns)
    assert watch.daemon.ask("reload") == []
    drop_in.unlink()
    watch.told(f"{drop_in} was removed", since_ns)


def test_a_baseline_that_was_replaced_is_told_and_written_again(watch: Watch) -> None:
    since_ns = time.time_ns()
    path = watch.daemon.state / "baselines" / "kept.baseline"
    before = path.read_bytes()[:8]
    path.write_bytes(b"something else")
    verdict = watch.told(f"{path} was changed", since_ns)
    assert verdict["level"] == "high"
    wait_for(lambda: path.read_bytes()[:8] == before)


def test_what_the_daemon_writes_itself_is_never_told(watch: Watch) -> None:
    since_ns = time.time_ns()
    assert watch.daemon.command("baseline", "learn", "kept").returncode == 0
    time.sleep(2.5)
    assert watch.daemon.verdicts(NAME, since_ns) == []
