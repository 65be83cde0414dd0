"""The drills' own server under watch: started, loaded, learned, removed."""

from __future__ import annotations

import http.client
import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, Self

from agent.control import request
from agent.drills import lookalikes, loopback
from agent.drills.errors import DrillBaselineError, DrillServerError
from agent.drills.place import Place
from agent.errors import AgentError

RATE: Final = 20.0
"""Requests a second while it is learned: enough calls in each window, little work."""

LIFE_S: Final = 2.0
"""Seconds between two of the acts that belong to the server's ordinary life."""

_START_S: Final = 10.0
_POLL_S: Final = 0.5


class Rig:
    """A server to drill, and everything around it. Leaving it removes all of it.

    Args:
        run_dir: Of the running agent.
        tell: Given a line about how far learning is.
    """

    def __init__(self, run_dir: Path, tell: Callable[[str], None]) -> None:
        """Start nothing yet."""
        self.name = f"drill-{os.getpid()}"
        self.run_dir = run_dir
        self.port = 0
        self.load: loopback.Load
        self.place: Place
        self._tell = tell
        self._token = secrets.token_hex(16)
        self._server: subprocess.Popen[str]
        self._stack = ExitStack()
        self._life = itertools.cycle(lookalikes.LEARNED)
        self._lived_s = 0.0

    def __enter__(self) -> Self:
        """Start the server, its load and its watch."""
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def pid(self) -> int:
        """The server's."""
        return self._server.pid

    def _start(self) -> None:
        # Not in /tmp: what a server reads and writes there says little, and is judged so.
        directory = Path(tempfile.mkdtemp(prefix="inferward-drill-", dir=Path.home()))
        self._stack.callback(shutil.rmtree, directory)
        hub = self._stack.enter_context(loopback.sink())
        self.place = Place(directory, 0, hub)
        self.place.furnish()
        self._decoys()
        self._serve()
        self.load = loopback.Load(self.predict, RATE)
        self._stack.callback(self.load.stop)
        request(self.run_dir, "watch", name=self.name, pid=self.pid)
        self._stack.callback(self._forget)

    def _decoys(self) -> None:
        """Make what belongs to others: a server's shared memory, a runtime's socket."""
        shared = Path("/dev/shm") / f"triton_python_backend_shm_region_{self.place.directory.name}"  # noqa: S108 - where Triton has it
        shared.write_bytes(bytes(64))
        self._stack.callback(shared.unlink)
        door = self._stack.enter_context(socket.socket(socket.AF_UNIX))
        door.bind(str(self.place.directory / "run" / "docker.sock"))
        door.listen()

    def _serve(self) -> None:
        line = [sys.executable, "-m", "agent.drills.server", str(self.place.directory)]
        line.append(str(self.place.hub))
        self._server = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self._stack.callback(self._end)
        if self._server.stdin is None or self._server.stdout is None:
            raise DrillServerError("no pipes to it")
        self._server.stdin.write(f"{self._token}\n")
        self._server.stdin.close()
        told = self._server.stdout.readline().strip()
        if not told.isdigit():
            raise DrillServerError("it ended at once")
        self.port = int(told)

    def _end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait()
        if self._server.stdout is not None:
            self._server.stdout.close()

    def _forget(self) -> None:
        with suppress(AgentError):  # the agent may have ended meanwhile
            request(self.run_dir, "unwatch", name=self.name)
            request(self.run_dir, "baseline_forget", workload=self.name)

    def predict(self) -> object:
        """Ask for a prediction."""
        return loopback.ask(self.port, "GET", "/predict", {})

    def ask(self, method: str, path: str) -> int:
        """Ask for anything, as a client; returns the status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=loopback.TIMEOUT_S)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"no answer from the drills' server: {error}") from error
        finally:
            connection.close()
        return answer.status

    def act(self, name: str, sink: int) -> str:
        """Have the server act; returns why that failed, or ""."""
        headers = {"Authorization": self._token, "X-Act": name, "X-Sink": str(sink)}
        return str(loopback.ask(self.port, "POST", "/act", headers)["failed"])

    def learn(self, wait_s: float) -> None:
        """Live an ordinary life until the baseline guards.

        Raises:
            DrillBaselineError: It does not after `wait_s`.
        """
        began = time.monotonic()
        while (found := self.workload())["state"] != "guarding":
            missing = "; ".join(found.get("progress", {}).get("missing", ()))
            if time.monotonic() - began > wait_s:
                raise DrillBaselineError(self.name, f"{found['state']}: {missing}")
            if self._live():
                self._tell(f"{time.monotonic() - began:4.0f} s  {found['state']}: {missing}")
            time.sleep(_POLL_S)

    def live(self, span_s: float) -> None:
        """Live an ordinary life for so long."""
        until = time.monotonic() + span_s
        while time.monotonic() < until:
            self._live()
            time.sleep(_POLL_S)

    def _live(self) -> bool:
        """Do the next act of an ordinary life if it is time; returns whether it was."""
        now = time.monotonic()
        if now - self._lived_s <= LIFE_S:
            return False
        self.act(next(self._life), 0)
        self._lived_s = now
        return True

    def workload(self) -> dict[str, Any]:
        """What the agent says of the server."""
        status = request(self.run_dir, "status")
        found = [w for w in status["workloads"] if w["name"] == self.name]
        return dict(found[0]) if found else {"state": "not watched"}
