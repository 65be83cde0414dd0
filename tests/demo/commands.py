"""Drives the product through its public command line, and through nothing else."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
TIMEOUT_S = 30.0


class CommandError(Exception):
    """A command failed or printed something that is not JSON; the message quotes it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command gave back."""

    code: int
    out: str
    err: str
    seconds: float

    def document(self) -> Any:  # noqa: ANN401  (one JSON document, of whatever shape the command has)
        """Return the JSON document on stdout; CommandError when there is none."""
        try:
            return json.loads(self.out)
        except ValueError as error:
            told = (self.err or self.out).strip()[-500:]
            raise CommandError(f"exit {self.code}, and no JSON: {told}") from error


@dataclass(frozen=True, slots=True)
class Commands:
    """`agent COMMAND ... --config FILE`."""

    config: Path

    def line(self, *words: str, options: tuple[str, ...] = ()) -> list[str]:
        """Return the argument vector of a command; what follows "--" is no option."""
        end = words.index("--") if "--" in words else len(words)
        named = [*options, "--config", str(self.config)]
        return [sys.executable, "-m", "agent.main", *words[:end], *named, *words[end:]]

    def ask(self, *words: str, options: tuple[str, ...] = ()) -> Answer:
        """Run a command to its end, whatever its exit code."""
        began = time.monotonic()
        try:
            done = subprocess.run(
                self.line(*words, options=options),
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CommandError(f"`agent {' '.join(words)}` took over {TIMEOUT_S:.0f} s") from error
        return Answer(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def json(self, *words: str, codes: tuple[int, ...] = (0,)) -> Any:  # noqa: ANN401  (JSON)
        """Run a command with --json and return its document; CommandError for another exit code."""
        answer = self.ask(*words, options=("--json",))
        if answer.code not in codes:
            told = (answer.err or answer.out).strip()[-500:]
            raise CommandError(f"`agent {' '.join(words)}` exited {answer.code}: {told}")
        return answer.document()

    def text(self, *words: str) -> str:
        """Run a command and return what it prints for people; CommandError when it fails."""
        answer = self.ask(*words)
        if answer.code:
            raise CommandError(f"`agent {' '.join(words)}` exited {answer.code}: {answer.err}")
        return answer.out

    def status(self) -> dict[str, Any]:
        """Return `agent status`, however healthy it is; CommandError when it does not run."""
        found = self.json("status", codes=(0, 1, 2))
        if not isinstance(found, dict):
            raise CommandError("`agent status --json` is no object")
        return found


def wait_for(read: Callable[[], Any], timeout_s: float, pause_s: float = 0.3) -> Any:  # noqa: ANN401  (what `read` gives)
    """Read until something true comes; None after the timeout. A CommandError counts as not yet."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if found := read():
                return found
        except CommandError:
            if time.monotonic() > deadline:
                raise
        if time.monotonic() > deadline:
            return None
        time.sleep(pause_s)
