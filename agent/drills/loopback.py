"""The drills' surroundings: ordinary load, and peers that swallow what they are sent."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

_CHUNK_BYTES: Final = 1 << 18
TIMEOUT_S: Final = 20.0
_IDLE_S: Final = 0.05


@contextmanager
def sink() -> Iterator[int]:
    """Listen on a free loopback port, read and forget; yields the port."""
    with _below_ephemeral() as door:
        door.listen()
        threading.Thread(target=_swallow_all, args=(door,), daemon=True).start()
        try:
            yield door.getsockname()[1]
        finally:
            with suppress(OSError):
                door.shutdown(socket.SHUT_RDWR)


def _below_ephemeral() -> socket.socket:
    """A port such as a service has: clients' own ports, from 32768 on, all look alike."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        start = 10_000 + probe.getsockname()[1] % 20_000
    for port in range(start, start + 1000):
        door = socket.socket()
        try:
            door.bind(("127.0.0.1", port))
        except OSError:
            door.close()
            continue
        return door
    raise OSError("no free loopback port")


def _swallow_all(door: socket.socket) -> None:
    with suppress(OSError):  # closed
        while True:
            line, _ = door.accept()
            threading.Thread(target=_swallow, args=(line,), daemon=True).start()


def _swallow(line: socket.socket) -> None:
    with line, suppress(OSError):
        while line.recv(_CHUNK_BYTES):
            pass


def ask(port: int, method: str, path: str, headers: dict[str, str]) -> dict[str, object]:
    """Ask the drills' server; returns the object it answers. OSError if it does not."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, headers=headers)
        document = json.loads(connection.getresponse().read())
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"no answer from the drills' server: {error}") from error
    finally:
        connection.close()
    return dict(document)


class Load:
    """Ordinary requests at a steady rate, until stopped.

    Attributes:
        rate: Requests a second; 0 for none.
    """

    def __init__(self, request: Callable[[], object], rate: float) -> None:
        """Begin."""
        self.rate = rate
        self.failed = 0
        self._request = request
        self._running = True
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()

    def _go(self) -> None:
        while self._running:
            rate = self.rate  # another thread changes it
            if rate:
                self._try()
            time.sleep(1.0 / rate if rate else _IDLE_S)

    def _try(self) -> None:
        try:
            self._request()
        except OSError:
            self.failed += 1

    def stop(self) -> None:
        """End it."""
        self._running = False
        self._thread.join()
