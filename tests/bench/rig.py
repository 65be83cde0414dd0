"""The benchmark's rig: a stage with a server, on which the agent is switched on and off."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.demo.commands import ROOT, CommandError, Commands, wait_for
from tests.demo.learning import workload
from tests.demo.stage import Stage
from tests.servers.serve import OnnxServer, end

HERE = Path(__file__).parent
START_S = 30.0
GUARD_S = 150.0


class Rig:
    """Server and agent. `on` and `off` return when the other state is really there."""

    def __init__(self, stage: Stage) -> None:
        """Start the server; the agent is off."""
        self.stage = stage
        self.server = stage.server = OnnxServer.start(stage.directory / "server", unsafe=True)
        self.agent = Commands(stage.configuration(HERE / "bench.toml.in", PORT=self.server.port))
        stage.agent = self.agent
        self.daemon: subprocess.Popen[bytes] | None = None

    def on(self) -> float:
        """Start the agent and wait until it watches the server; returns the seconds that took.

        Raises:
            CommandError: It ended, or watches nothing within `START_S`.
        """
        if self.daemon and self.daemon.poll() is None:
            return 0.0
        began = time.monotonic()
        daemon = self.daemon = self.stage.launch("agent", self.agent.line("run"))
        if not wait_for(lambda: daemon.poll() is not None or self.watched(), START_S):
            raise CommandError(f"the agent does not watch the server {START_S:.0f} s after start")
        self.running()
        return time.monotonic() - began

    def running(self) -> subprocess.Popen[bytes]:
        """Return the daemon; CommandError, with its last words, when it is not there."""
        if self.daemon and self.daemon.poll() is None:
            return self.daemon
        words = self.stage.log("agent").read_text(errors="replace").strip().splitlines()
        raise CommandError(f"the agent does not run: {words[-1] if words else 'no word from it'}")

    def watched(self) -> dict[str, Any] | None:
        """Return the server's workload once its process is a member."""
        found = workload(self.agent.status())
        return found if found and self.server.process.pid in found["pids"] else None

    def off(self) -> None:
        """Stop the agent and detach its programs, which by design outlive it."""
        if self.daemon:
            end(self.daemon, timeout_s=15.0)
            self.daemon = None
        self.stage.detach()

    def guard(self, say: Callable[[str], None]) -> None:
        """Wait, under load, until the baseline guards; CommandError when it does not."""
        self.on()
        samples = str(self.server.samples)
        line = ["--port", str(self.server.port), "--samples", samples, "--rate", "30"]
        program = [sys.executable, "-m", "tests.servers.load", *line, "--seconds", str(GUARD_S)]
        load = self.stage.launch("load", program)
        deadline = time.monotonic() + GUARD_S
        state = ""
        while state != "guarding":
            if time.monotonic() > deadline:
                raise CommandError(f"the baseline is still {state} after {GUARD_S:.0f} s")
            time.sleep(1.0)
            state = str((workload(self.agent.status()) or {}).get("state", ""))
        say(f"guarding, {GUARD_S - deadline + time.monotonic():.0f} s after load began")
        end(load)


def run(*line: object) -> str:
    """Run a program in the repository and return its output; CommandError when it fails."""
    done = subprocess.run(
        [str(word) for word in line], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CommandError(f"{line[0]} exited {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout
