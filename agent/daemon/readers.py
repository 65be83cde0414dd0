"""Hands model files to the program that reads them, one after the other; the loop never waits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final, cast

from agent.confined import SEE, confined
from agent.log import log
from agent.models import reading

Answer = dict[str, Any]
"""As `agent.models.reading` gives it; with `problem` where nothing could be read."""

_END_S: Final = 5.0


class Reading:
    """A thread that asks and waits, and the program it asks, which lives while there is work.

    Attributes:
        asked: Files handed over.
        answered: Files read or given up.
        read_bytes: Of them all, so far: progress within a large file counts.
        reasons: Why files could not be read.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self.asked = self.answered = self.read_bytes = 0
        self.reasons: Counter[str] = Counter()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="models")
        self._program: subprocess.Popen[str] | None = None

    @property
    def pending(self) -> int:
        """Files not read yet."""
        return self.asked - self.answered

    def ask(self, work: str, path: Path, then: Callable[[Answer], None]) -> None:
        """Have a file read, `digest` or `code`; `then` is called in this object's thread."""
        self.asked += 1
        self._threads.submit(self._do, work, path, then)

    def close(self) -> None:
        """Wait for nobody: what is being read is read by nobody any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._program is not None:
            self._program.kill()

    def _do(self, work: str, path: Path, then: Callable[[Answer], None]) -> None:
        try:
            found = self._asked(json.dumps({"work": work, "path": str(path)}))
        except (OSError, ValueError) as error:
            log.once("models.not_read", why=error)
            self._end()
            found = {"problem": "the program that reads model files ended"}
        if problem := found.get("problem"):
            self.reasons[problem] += 1
        self.answered += 1
        if not self.pending:
            self._end()  # its memory is the servers'
        then(found)

    def _asked(self, line: str) -> Answer:
        if self._program is None:
            self._program = subprocess.Popen(
                [*confined(SEE), sys.executable, "-m", reading.__name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        given = cast("IO[str]", self._program.stdin)
        told = cast("IO[str]", self._program.stdout)
        given.write(line + "\n")
        given.flush()
        while True:
            found: Answer = json.loads(told.readline())
            self.read_bytes += found.get("read_bytes", 0) + found.get("left_bytes", 0)
            if "read_bytes" not in found:
                return found

    def _end(self) -> None:
        if self._program is None:
            return
        program, self._program = self._program, None
        for stream in (program.stdin, program.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        try:
            program.wait(_END_S)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()
