"""A daemon of a later version takes over a guarding one: baseline, members and counts go on."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.host.daemons import ROOT, Daemon, Server, grave, wait_for
from tests.host.upgraded import build

pytestmark = pytest.mark.timeout(240)

NAME = "upgraded"
GAP_MS = 1000.0


def later_daemon(daemon: Daemon, later: Path) -> None:
    """Start it again, with this object."""
    command = [sys.executable, "-m", "tests.host.later_agent", str(later), *daemon.line("run")[3:]]
    with (daemon.at / "log").open("ab") as log:
        daemon.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    wait_for((daemon.run_directory / "control.sock").exists, 40.0)


def test_a_guarding_workload_is_guarded_on_without_an_alarm(tmp_path: Path) -> None:
    later = build(tmp_path)
    daemon = Daemon()
    server = Server(daemon.at / NAME)
    try:
        server.start()
        daemon.configure(server.rule("alert")).start()
        wait_for(lambda: daemon.workload(NAME).get("state") == "guarding", 120.0)
        before = daemon.status()
        assert daemon.stop() == 0
        later_daemon(daemon, later)
        after = daemon.status()
        found = wait_for(lambda: daemon.workload(NAME))
        assert after["abi"] == before["abi"] + 1
        assert (found["state"], found["pids"]) == ("guarding", [server.pid])
        assert after["handover"]["gap_ms"] < GAP_MS
        assert "tasks" in after["handover"]["made_anew"]
        assert any("last six calls" in words for words in after["handover"]["not_carried_over"])
        time.sleep(4.0)
        assert grave(daemon.verdicts()) == []
        assert server.failed == 0
        since_ns = time.monotonic_ns()
        server.do("subprocess.run(['/bin/sh', '-c', 'true']); answer = 1")
        told = wait_for(lambda: [v for v in daemon.verdicts(NAME) if "sh" in v["summary"]])
        assert told[0]["novel"][0]["time_ns"] >= since_ns
        assert "hand-over" in daemon.command("status").stdout
    finally:
        server.stop()
        daemon.close()
