"""Where the demonstration takes place: its directory and its processes, ended together."""

import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from string import Template
from types import TracebackType
from typing import Self

import psutil

from tests.demo.commands import ROOT, CommandError, Commands
from tests.servers.attack import Attack, Listener
from tests.servers.serve import OnnxServer, end

BPFFS = Path("/sys/fs/bpf")


class Stage:
    """Everything the demonstration started. Leaving it ends all of it, frozen or not."""

    def __init__(self) -> None:
        """Make the directory; nothing runs yet."""
        self.directory = Path(tempfile.mkdtemp(prefix="inferward-demo-"))
        self.pins = BPFFS / self.directory.name
        self.keep = False
        self.server: OnnxServer | None = None
        self.listener: Listener | None = None
        self.agent: Commands | None = None
        self.attack: Attack | None = None
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End everything; keep the directory when asked to, or when something went wrong."""
        self.close()
        if kind is None and not self.keep:
            shutil.rmtree(self.directory)

    def configuration(self, template: Path, **values: object) -> Path:
        """Fill a template in, write it into a directory of its own and return the file."""
        name = template.name.removesuffix(".in")
        directory = self.directory / name.removesuffix(".toml")
        directory.mkdir(mode=0o700)
        text = Template(template.read_text()).substitute(
            values, STATE=directory / "state", RUN=directory / "run", PINS=self.pins
        )
        path = directory / name
        path.write_text(text)
        return path

    def log(self, name: str) -> Path:
        """Where a daemon's log lies."""
        return self.directory / f"{name}.log"

    def launch(self, name: str, line: list[str]) -> subprocess.Popen[bytes]:
        """Start a daemon, with its log in the directory."""
        with self.log(name).open("wb") as log:
            process = subprocess.Popen(
                line,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._daemons.append(process)
        return process

    def intruders(self) -> list[psutil.Process]:
        """Return every process that the attack started and that still is there, orphans too."""
        if not self.attack:
            return []
        command = self.attack.command()
        return [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == command]

    def end_intruders(self) -> int:
        """End what the attack started; returns how many processes that were.

        With what those started: bash, run over a connection, reads its user's own start file.
        """
        ended = 0
        for intruder in self.intruders():
            with suppress(psutil.NoSuchProcess):
                for each in (*intruder.children(recursive=True), intruder):
                    each.kill()
                ended += 1
        return ended

    def close(self) -> None:
        """Release, end every process, remove the pins. Safe to call twice."""
        if self.agent:
            with suppress(CommandError):  # it may be the agent that failed; its end follows
                self.agent.ask("release", "--all")
        self.end_intruders()
        if self.listener:
            self.listener.stop()
        if self.server:
            self.server.stop()
        for daemon in reversed(self._daemons):
            end(daemon, timeout_s=15.0)
        self.detach()

    def detach(self) -> None:
        """Remove the pins: maps and programs outlive the daemon by design, and end with these."""
        if self.pins.exists():
            shutil.rmtree(self.pins)
