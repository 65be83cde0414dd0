"""Ships verdicts from a worker thread: the daemon's loop only ever puts them into a queue."""

import queue
import sqlite3
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from agent.keys import KeyPair, check_public_key
from agent.log import log
from agent.ship.link import Link
from agent.ship.outbox import Outbox
from agent.ship.settings import ShipSettings
from agent.store.levels import LEVELS, level_rank
from agent.store.plain import plain

QUEUE_LENGTH: Final = 10_000
"""Verdicts between the loop and the worker; the worker empties it within milliseconds."""

_NO_KEY: Final = "this host has no key: make one with `agent keys new host`"
_IDLE_S: Final = 0.1  # how often the worker looks at its queue while nothing else happens


@dataclass(frozen=True, slots=True)
class ShipStats:
    """How shipping goes. `last_ack_age_s` is None before the first acknowledgement.

    `came` counts verdicts offered, with those that waited or had been dropped before this start;
    `refused` counts verdicts that central would not take; `garbage` counts
    messages from central's side that were none of ours; `problem` says in words
    why nothing is shipped, empty while it goes well.
    """

    dropped: dict[str, int]
    came: int = 0
    queued: int = 0
    sent: int = 0
    acked: int = 0
    refused: int = 0
    garbage: int = 0
    connected: bool = False
    last_ack_age_s: float | None = None
    central: str = ""
    set_aside: Path | None = None
    problem: str = ""


class Shipper:
    """Owns the outbox and the socket, both touched by its worker thread alone."""

    def __init__(self, settings: ShipSettings, keys: KeyPair | None) -> None:
        if settings.endpoints:
            check_public_key(settings.central_key)
        self._settings = settings
        self._keys = keys
        self._queue: queue.SimpleQueue[Mapping[str, Any] | threading.Event] = queue.SimpleQueue()
        self._overflow = [0] * len(LEVELS)
        self._taken = 0  # out of the queue; what the outbox held at the start counts as taken
        self._summary: Mapping[str, Any] = {}
        self._stop = threading.Event()
        self._stats = ShipStats(
            dropped=dict.fromkeys(LEVELS, 0), problem="starting" if settings.endpoints else ""
        )
        self._worker = threading.Thread(target=self._work, name="ship", daemon=True)

    @classmethod
    def start(cls, settings: ShipSettings, keys: KeyPair | None) -> Self:
        """Begin to ship.

        Args:
            settings: Where to and as whom.
            keys: This host's key pair; None while there is none: verdicts wait in the outbox.

        Raises:
            KeyFormError: `settings.central_key` is no key.
        """
        shipper = cls(settings, keys)
        if settings.endpoints:
            shipper._worker.start()
        return shipper

    def offer(self, verdict: Mapping[str, Any]) -> None:
        """Take a verdict to ship; returns at once, whatever disk and network do.

        Raises:
            KeyError, TypeError, ValueError: It is no verdict as the interface has it.
        """
        rank = level_rank(verdict["level"])
        if not self._settings.endpoints:
            return
        if self._queue.qsize() >= QUEUE_LENGTH:
            self._overflow[rank] += 1
            return
        self._queue.put(plain(verdict))

    def report(self, summary: Mapping[str, Any]) -> None:
        """Set what the next heartbeats tell central about this host: health, losses, log head."""
        self._summary = dict(summary)

    def flush(self, timeout_s: float) -> bool:
        """Wait until what was offered is in the outbox; False if that took longer."""
        if not self._settings.endpoints:
            return True
        written = threading.Event()
        self._queue.put(written)
        return written.wait(timeout_s)

    def stats(self) -> ShipStats:
        """Return how it goes, as of a moment ago."""
        return self._stats

    def stop(self, timeout_s: float = 5.0) -> None:
        """Write what was offered to the outbox, say a last heartbeat and end the worker."""
        self._stop.set()
        if self._worker.is_alive():
            self._queue.put(threading.Event())
            self._worker.join(timeout_s)

    def _work(self) -> None:
        outbox = self._open_outbox()
        if outbox is None:
            return
        settings = self._settings
        link = Link(settings, self._keys, outbox) if self._keys else None
        try:
            while not self._stop.is_set():
                self._take(outbox, 0.0 if link else _IDLE_S)
                if link:
                    self._step(outbox, link)
                self._publish(outbox, link)
            self._take(outbox, 0.0)
        finally:
            if link:
                link.close(self._summary)
            self._publish(outbox, link)
            outbox.close()

    def _step(self, outbox: Outbox, link: Link) -> None:
        try:
            link.step(_IDLE_S, self._summary)
        except sqlite3.Error as error:
            # Full, busy or damaged: what was sent stays unacknowledged here and is sent again.
            log.once("ship.outbox_failed", path=self._settings.outbox, error=error)
            outbox.recover(error)
            self._stop.wait(_IDLE_S)

    def _open_outbox(self) -> Outbox | None:
        told = False
        while not self._stop.is_set():
            try:
                outbox = Outbox.open(self._settings.outbox, max_bytes=self._settings.outbox_bytes)
            except (sqlite3.Error, OSError) as error:
                if not told:
                    log.error("ship.outbox_failed", path=self._settings.outbox, error=error)
                told = True
                self._publish(None, None, f"the outbox cannot be opened: {error}")
                self._stop.wait(1.0)
            else:
                self._taken = len(outbox) + sum(outbox.dropped.values())
                if outbox.set_aside:
                    log.error("ship.outbox_set_aside", path=outbox.set_aside)
                return outbox
        return None

    def _take(self, outbox: Outbox, wait_s: float) -> None:
        verdicts: list[Mapping[str, Any]] = []
        waiters: list[threading.Event] = []
        try:
            thing = self._queue.get(timeout=wait_s) if wait_s else self._queue.get_nowait()
            while True:
                if isinstance(thing, threading.Event):
                    waiters.append(thing)
                else:
                    verdicts.append(thing)
                thing = self._queue.get_nowait()
        except queue.Empty:
            pass
        self._taken += len(verdicts)
        outbox.put(*verdicts)  # also without any: what waited for a full disk is tried again
        for waiter in waiters:
            waiter.set()

    def _publish(self, outbox: Outbox | None, link: Link | None, problem: str = "") -> None:
        # An empty outbox is false: ask for None, or its losses would vanish with its last verdict.
        queued = self._queue.qsize()
        waiting = queued + (0 if outbox is None else len(outbox))
        dropped = dict.fromkeys(LEVELS, 0) if outbox is None else dict(outbox.dropped)
        for level, count in zip(LEVELS, self._overflow, strict=True):
            dropped[level] += count
        age_s = None
        if link and link.last_ack_s is not None:
            age_s = time.monotonic() - link.last_ack_s
        self._stats = ShipStats(
            came=self._taken + queued + sum(self._overflow),
            queued=waiting,
            sent=link.sent if link else 0,
            acked=link.acked if link else 0,
            dropped=dropped,
            refused=link.refused if link else 0,
            garbage=link.garbage if link else 0,
            connected=bool(link and link.connected),
            last_ack_age_s=age_s,
            central=link.endpoint if link else "",
            set_aside=None if outbox is None else outbox.set_aside,
            problem=problem or (link.problem if link else _NO_KEY),
        )
