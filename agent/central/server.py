"""Central's loop: takes messages, stores them, acknowledges them. One thread, one process."""

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import zmq

from agent.central.desk import Desk
from agent.central.door import Door
from agent.central.errors import CentralRunningError, StoreFailedError
from agent.central.round import Answer, Round
from agent.central.sequences import Sequences
from agent.central.settings import CentralSettings
from agent.central.store import CentralStore
from agent.keys import KeyStore
from agent.log import log
from agent.ship.wire import pack

_POLL_MS: Final = 250
_ROUND_MESSAGES: Final = 64
"""Messages stored together: one insert for all of them, at most 64 MiB."""


def serve(settings: CentralSettings) -> None:
    """Run central until SIGTERM or SIGINT, in the main thread.

    Raises:
        NoKeyError, KeyFileError: There is no usable key: `agent keys new central`.
        CentralRunningError: Another central uses the store.
        CentralBindError: The address or the socket is taken or refused.
        StoreMissingError, StoreFailedError: chDB is missing or cannot open the store.
    """
    stop = False

    def ask_to_stop(_signal: int, _frame: object) -> None:
        nonlocal stop
        stop = True

    pair = KeyStore(settings.keys).pair("central")
    settings.run.mkdir(parents=True, exist_ok=True, mode=0o750)
    with _lock(settings.store):
        store = CentralStore.open(
            settings.store / "chdb", settings.keep_days, settings.stuck_after_s
        )
        try:
            server = Server(settings, pair.secret, store)
            before = [signal.signal(one, ask_to_stop) for one in (signal.SIGTERM, signal.SIGINT)]
            try:
                log.info("central.started", bind=server.door.address, store=settings.store)
                while not stop:
                    server.step()
            finally:
                for one, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
                    signal.signal(one, handler)
                server.close()
        finally:
            store.close()
    log.info("central.stopped")


class Server:
    """The sockets and the store of a central, moved on by `step`.

    Raises:
        CentralBindError: The address or the socket for questions cannot be had.
        StoreFailedError: The store cannot say what it holds.
    """

    def __init__(
        self,
        settings: CentralSettings,
        secret: str,
        store: CentralStore,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store = store
        self._clock_ns = clock_ns
        self._silent_ns = int(settings.silent_after_s * 1e9)
        self._sequences = Sequences(store.marks())
        self._heard_ns: dict[str, int] = {}
        self._silent: set[str] = set()
        self._told: set[tuple[str, str]] = set()
        self._counts = dict.fromkeys(
            ("messages", "verdicts", "repeated", "refused", "garbage", "store_failures"), 0
        )
        self._context = zmq.Context()
        self.door = Door(self._context, settings.bind, secret, settings.keys)
        self._desk = Desk(self._context, settings.run, self.hosts, store.verdicts, self.status)
        self._poller = zmq.Poller()
        for found in (*self.door.sockets, self._desk.socket):
            self._poller.register(found, zmq.POLLIN)

    def close(self) -> None:
        """Stop listening; what was acknowledged is stored."""
        self._desk.close()
        self.door.close()
        self._context.term()

    def status(self) -> dict[str, Any]:
        """Return central's counters: what it took, refused and failed to store."""
        return {
            **self._counts,
            "connections": self.door.connections,
            "strangers": self.door.strangers,
            "hosts_silent": sorted(self._silent),
        }

    def hosts(self) -> list[dict[str, Any]]:
        """Return what is known of every host ever heard, with its age and whether it is silent."""
        now_ns = self._clock_ns()
        found = self._store.hosts()
        for host in found:
            age_ns = now_ns - host["last_heard_ns"]
            host.update(age_s=round(age_ns / 1e9, 3), silent=age_ns > self._silent_ns)
        return found

    def step(self, wait_ms: int = _POLL_MS) -> None:
        """Wait up to `wait_ms` for something to do, and do it."""
        ready = dict(self._poller.poll(wait_ms))
        self.door.admit()
        if self.door.router in ready:
            self._take_round()
        if self._desk.socket in ready:
            self._desk.serve_one()
        self._watch_silence()

    def _take_round(self) -> None:
        now_ns = self._clock_ns()
        before = dict(self._sequences.marks)
        current = Round(self._sequences, now_ns, self._told)
        for letter in self.door.receive(_ROUND_MESSAGES):
            self._counts["messages"] += 1
            current.add(letter)
        try:
            stored = self._store.write(
                current.verdicts, current.gaps, current.heartbeats, list(current.hosts.values())
            )
        except StoreFailedError as error:
            # Nothing is acknowledged: every host keeps and sends again what this round told.
            self._sequences.marks = before
            self._counts["store_failures"] += 1
            log.error("central.store_failed", error=str(error))
            return
        self._counts["verdicts"] += stored
        self._counts["repeated"] += current.repeated + len(current.verdicts) - stored
        self._counts["refused"] += current.refused
        self._counts["garbage"] += current.garbage
        for host, _ in current.hosts:
            self._heard_ns[host] = now_ns
        for answer in current.answers:
            self._reply(answer)

    def _reply(self, answer: Answer) -> None:
        with suppress(zmq.ZMQError):  # the peer is gone; it asks again when it is back
            self.door.router.send_multipart(
                [answer.peer, pack(answer.kind, **answer.facts)], zmq.NOBLOCK
            )

    def _watch_silence(self) -> None:
        now_ns = self._clock_ns()
        silent = {
            host for host, at_ns in self._heard_ns.items() if now_ns - at_ns > self._silent_ns
        }
        for host in sorted(silent - self._silent):
            log.warning("central.host_silent", host=host)
        for host in sorted(self._silent - silent):
            log.info("central.host_back", host=host)
        self._silent = silent


@contextmanager
def _lock(store: Path) -> Iterator[None]:
    """Hold the store's directory for this process; the kernel lets go when it ends, however."""
    store.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(store / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(handle, 20).decode("ascii", "replace").strip()
            raise CentralRunningError(holder or "unknown", store) from error
        os.truncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        os.close(handle)
