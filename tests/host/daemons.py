"""A daemon under paths of its own and servers for it to watch; all of it ends with the test."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from agent.control import request
from agent.daemon.alarms import NAME as AGENT
from agent.errors import AgentError
from agent.response.processes import children
from agent.store import Store
from probes.loader import remove
from tests.servers.serve import free_port

ROOT: Final = Path(__file__).parent.parent.parent
LIMIT_S: Final = 30.0
CALL_S: Final = 0.04
"""Between two honest requests."""

LEVELS: Final = ("info", "low", "medium", "high", "critical")

HEAD: Final = """
[paths]
state = "{at}/state"
run = "{at}/run"
pins = "{pins}"

[window]
length_s = 0.25

[learning]
min_windows = 12
quiet_s = 2
shadow_s = 3

[budget]
cpu_percent = 100.0  # four windows a second, and a test that asks all the time

[response]
breaker_count = 1000
"""

Verdict = dict[str, Any]
T = TypeVar("T")


def wait_for(read: Callable[[], T], timeout_s: float = LIMIT_S) -> T:
    """Read until something true comes; AssertionError after the timeout."""
    give_up = time.monotonic() + timeout_s
    while not (found := read()):
        assert time.monotonic() < give_up, f"not within {timeout_s} s; last: {found!r}"
        time.sleep(0.05)
    return found


def end(pid: int) -> None:
    """Kill a process and everything below it."""
    for child in children(pid):
        end(child)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@dataclass(slots=True)
class Server:
    """An obedient server, and its honest callers."""

    home: Path
    port: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    answered: int = 0
    failed: int = 0
    strays: set[int] = field(default_factory=set)
    fds: tuple[int, ...] = ()
    script: str = "obedient.py"
    _calling: threading.Event = field(default_factory=threading.Event)
    _callers: threading.Thread | None = None

    @property
    def name(self) -> str:
        """Of the workload."""
        return self.home.name

    @property
    def pid(self) -> int:
        """Of the server."""
        assert self.process is not None
        return self.process.pid

    def rule(self, respond: str) -> str:
        """The configuration's table for it."""
        return (
            f'[[workload]]\nname = "{self.name}"\nrespond = "{respond}"\n'
            f'match = {{ cmdline = "{self.home} " }}\n'
        )

    def start(self) -> Self:
        """Start it, wait until it answers, and call it from then on."""
        self.home.mkdir(exist_ok=True)
        self.port = self.port or free_port()
        weights = self.home / "weights"
        if not weights.exists():  # a server that starts again finds what it had
            weights.write_bytes(bytes(range(256)) * 64)
        self.process = subprocess.Popen(
            [sys.executable, "-I", ROOT / "tests/host" / self.script, self.home, str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self.fds,
        )
        wait_for(self.answers)
        self.resume()
        return self

    def answers(self, timeout_s: float = 1.0) -> bool:
        """Whether an honest caller is served now."""
        with suppress(OSError, http.client.HTTPException):
            return bool(self._ask("GET", None, timeout_s)["sum"])
        return False

    def do(self, code: str) -> Any:  # noqa: ANN401 - what the code leaves in `answer`
        """Make it run Python; what that left in `answer`."""
        return self._ask("POST", code, LIMIT_S)["answer"]

    def order(self, code: str) -> None:
        """Make it run Python that it may never be allowed to finish."""
        with suppress(OSError, http.client.HTTPException):
            self._ask("POST", code, 0.3)

    def rest(self) -> None:
        """Let nobody call until `resume`."""
        self._calling.clear()
        if self._callers is not None:
            self._callers.join(LIMIT_S)

    def resume(self) -> None:
        """Have it called again."""
        self._calling.set()
        self._callers = threading.Thread(target=self._call, daemon=True)
        self._callers.start()

    def end_intruders(self) -> None:
        """End what it was made to start; held processes die, too."""
        for pid in [*children(self.pid), *self.strays]:
            end(pid)
        self.strays.clear()

    def stop(self) -> None:
        """End it and what it started."""
        self.rest()
        if self.process is not None:
            self.end_intruders()
            end(self.process.pid)
            self.process.wait(LIMIT_S)

    def _ask(self, method: str, body: str | None, timeout_s: float) -> dict[str, Any]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            line.request(method, "/", body)
            found: dict[str, Any] = json.loads(line.getresponse().read())
        finally:
            line.close()
        return found

    def _call(self) -> None:
        turn = 0
        while self._calling.is_set():
            turn += 1
            try:
                self._ask("POST" if turn % 8 == 0 else "GET", "answer = 1", 5.0)
                self.answered += 1
            except (OSError, http.client.HTTPException):
                self.failed += 1
            time.sleep(CALL_S)


@dataclass(slots=True)
class Daemon:
    """`agent run`, its configuration and its commands."""

    at: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="inferward-test-")))
    process: "subprocess.Popen[bytes] | None" = None
    before: tuple[str, ...] = ()  # the words of a command that becomes the daemon

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.at / "agent.toml"

    @property
    def pins(self) -> Path:
        """Where its probes are pinned."""
        return Path("/sys/fs/bpf") / self.at.name

    @property
    def state(self) -> Path:
        """The state directory."""
        return self.at / "state"

    @property
    def run_directory(self) -> Path:
        """Where the control socket is."""
        return self.at / "run"

    @property
    def pid(self) -> int:
        """Of the daemon."""
        assert self.process is not None
        return self.process.pid

    def configure(self, *tables: str) -> Self:
        """Write the configuration: paths and a short learning, then `tables`."""
        self.config.write_text("\n".join([HEAD.format(at=self.at, pins=self.pins), *tables]))
        return self

    def start(self) -> Self:
        """Start it and wait until it answers."""
        with (self.at / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.before, *self.line("run")],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_for(self._up, 30.0)
        return self

    def _up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()[-2000:]
        with suppress(AgentError):
            return bool(self.status())
        return False

    def line(self, *words: str) -> list[str]:
        """The argument vector of a command."""
        return [sys.executable, "-m", "agent.main", *words, "--config", str(self.config)]

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            self.line(*words), cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
        )

    def json(self, *words: str) -> Any:  # noqa: ANN401 - of whatever shape the command has
        """Run a command with --json; its document."""
        return json.loads(self.command(*words, "--json").stdout)

    def ask(self, op: str, **args: Any) -> Any:  # noqa: ANN401 - as the control socket answers
        """Ask over the control socket, as the commands do."""
        return request(self.run_directory, op, **args)

    def status(self) -> dict[str, Any]:
        """What `agent status` shows."""
        found: dict[str, Any] = self.ask("status")
        return found

    def workload(self, name: str) -> dict[str, Any]:
        """One workload of the status; empty before it is found."""
        found = (w for w in self.status()["workloads"] if w["name"] == name)
        return dict(next(found, {}))

    def verdicts(self, name: str | None = None, since_ns: int = 0) -> list[Verdict]:
        """What was told, from its own record."""
        with Store.read(self.state / "events.db") as store:
            return store.verdicts(since_ns, name)

    def told(self, name: str, item: str, since_ns: int = 0) -> Verdict:
        """Wait for a verdict that names an item new since then (CLOCK_MONOTONIC)."""

        def look() -> Verdict:
            for verdict in self.verdicts(name):
                if any(n["item"] == item and n["time_ns"] >= since_ns for n in verdict["novel"]):
                    return verdict
            return {}

        return wait_for(look)

    def alarm(self, words: str, since_ns: int, within_s: float) -> Verdict:
        """Wait for a verdict about the agent itself that says so (Unix time)."""

        def look() -> Verdict:
            return next((v for v in self.verdicts(AGENT, since_ns) if words in str(v)), {})

        return wait_for(look, within_s)

    def live(self, name: str) -> list[dict[str, Any]]:
        """The workload's containments in force."""
        return [one for one in self.status()["containments"] if one["workload"] == name]

    def log(self) -> str:
        """Everything it wrote."""
        return (self.at / "log").read_text()

    def kill(self) -> None:
        """End it as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it as systemd would; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(LIMIT_S)

    def close(self) -> None:
        """Give back what is contained, end it, take the probes out."""
        if self.process is not None and self.process.poll() is None:
            self.command("release", "--all")
            end(self.process.pid)
            self.process.wait()
        remove(self.pins)
        shutil.rmtree(self.at)


def rank(verdict: Verdict) -> int:
    """How serious a verdict is, as a number."""
    return LEVELS.index(verdict["level"])


def grave(verdicts: list[Verdict]) -> list[str]:
    """Those above `low`, in words."""
    return [f"{v['level']}: {v['summary']}" for v in verdicts if rank(v) > LEVELS.index("low")]
