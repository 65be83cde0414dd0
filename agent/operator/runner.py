"""One worker as the daemon sees it: started, told, listened to, ended. Nothing here waits."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from fcntl import F_SETPIPE_SZ, fcntl
from typing import Any, Final

import msgpack

from agent.confined import PROBE, confined
from agent.operator import worker

MOST_UNREAD: Final = 4 << 20
"""Bytes of one message: a worker that sends more is taken for broken."""

_PIPE_BYTES: Final = 1 << 20
"""Room for a whole message, so that none waits for the next turn of the loop."""

_FRUGAL: Final = ("env", "MALLOC_TRIM_THRESHOLD_=65536", "MALLOC_MMAP_THRESHOLD_=32768")
"""Gives the compiler's memory back: 46 MB stay instead of 64."""

Hear = Callable[[list[Any]], None]


class Worker:
    """One process, and the thread that reads what it says.

    Args:
        job: What it is to run.
        hear: Called in the loop with each message; the next is read when it has returned.
        post: Runs something in the loop.
        program: The module that the process runs.
        powers: Capabilities that it keeps, where this process may give the others away.
    """

    def __init__(
        self,
        job: dict[str, Any],
        hear: Hear,
        post: Callable[[Callable[[], None]], None],
        program: str = worker.__name__,
        powers: tuple[str, ...] = PROBE,
    ) -> None:
        """Start both."""
        self._process = subprocess.Popen(
            [*_FRUGAL, *confined(powers), sys.executable, "-m", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._hear, self._post = hear, post
        self._heard = threading.Event()
        self._unsent = b""
        self._stopped = False
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        os.set_blocking(self._process.stdin.fileno(), False)
        with suppress(PermissionError):  # others of this user have used up their share
            fcntl(self._process.stdin.fileno(), F_SETPIPE_SZ, _PIPE_BYTES)
        self.send(job)
        self._thread = threading.Thread(target=self._listen, name="probe", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def send(self, message: Any) -> bool:  # noqa: ANN401 - plain values
        """Send, or begin to; False while the last message is not through."""
        if not self.flush():
            return False
        self._unsent = msgpack.packb(message)
        self.flush()
        return True

    def flush(self) -> bool:
        """Send on; True once nothing waits."""
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - it was asked for
        with suppress(BlockingIOError, BrokenPipeError):  # full, or ended: `ended` tells
            while self._unsent:
                self._unsent = self._unsent[os.write(stdin.fileno(), self._unsent) :]
        return not self._unsent

    def ended(self) -> str | None:
        """How it ended, in words; None while it runs, or while its last words are on their way."""
        code = self._process.poll()
        if code is None or self._thread.is_alive():
            return None
        if code < 0:
            return f"its worker was ended by {signal.Signals(-code).name}"
        return f"its worker ended with code {code}"

    def stop(self) -> None:
        """End it; its programs leave the kernel with it. What it said before is not heard."""
        self._stopped = True
        self._heard.set()
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        unpacker = msgpack.Unpacker(max_buffer_size=MOST_UNREAD)
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        with self._process.stdout as out, suppress(ValueError):  # no msgpack: it broke
            while data := os.read(out.fileno(), 65_536):
                unpacker.feed(data)
                for message in unpacker:
                    self._heard.clear()
                    self._post(lambda message=message: self._pass_on(message))  # type: ignore[misc]
                    self._heard.wait()
                    if self._stopped:
                        return

    def _pass_on(self, message: list[Any]) -> None:
        try:
            if not self._stopped:
                self._hear(message)
        finally:
            self._heard.set()
