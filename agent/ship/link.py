"""One encrypted connection to central at a time: send, wait for its word, or fail over."""

import time
from collections.abc import Mapping
from typing import Any, Final

import zmq

from agent.keys import KeyPair
from agent.log import log
from agent.ship.outbox import Batch, Outbox
from agent.ship.settings import ShipSettings
from agent.ship.wire import (
    MESSAGE_BYTES,
    PeerError,
    pack,
    short_text,
    unpack,
    unpack_verdict,
    whole_number,
)
from agent.store.plain import plain

_BACKOFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_REASON_LENGTH: Final = 300
_LINGER_MS: Final = 500  # how long a last heartbeat may take to leave at the end


class Link:
    """Sends one batch at a time, oldest first; the same batch again until it is acknowledged.

    Attributes:
        sent, acked: Verdicts, those sent again counted each time.
        refused: Verdicts that central would not take.
        garbage: Messages that were none of ours.
        connected: Whether central answered within the last three heartbeats or acknowledgements.
        last_ack_s: CLOCK_MONOTONIC seconds of its last answer.
        endpoint: Where it is connected to.
        problem: Why nothing gets through, in words; empty when it does.
    """

    def __init__(self, settings: ShipSettings, keys: KeyPair, outbox: Outbox) -> None:
        self._settings = settings
        self._keys = keys
        self._outbox = outbox
        self._context = zmq.Context()
        self._failures = 0
        self._failures_in_row = 0
        self._batch: Batch | None = None
        self._deadline_s: float | None = None
        self._retry_s = 0.0
        self._beat_s = 0.0
        self.sent = self.acked = self.refused = self.garbage = 0
        self.last_ack_s: float | None = None
        self.connected = False
        self.problem = ""
        self._socket = self._connect()

    @property
    def endpoint(self) -> str:
        """The central it speaks to now."""
        return self._settings.endpoints[self._failures % len(self._settings.endpoints)]

    def step(self, wait_s: float, summary: Mapping[str, Any]) -> None:
        """Do what is due, and wait up to `wait_s` for an answer."""
        now_s = time.monotonic()
        if self._deadline_s is not None and now_s > self._deadline_s:
            words = f"no answer from {self.endpoint}: is it running, and is our key allowed there?"
            self._fail(words, now_s)
        if now_s >= self._retry_s:
            self._send_due(now_s, summary)
        if self._socket.poll(int(wait_s * 1000)):
            self._receive()

    def close(self, summary: Mapping[str, Any]) -> None:
        """Say a last heartbeat and disconnect."""
        if self.connected:
            self._send("heartbeat", summary=plain({**summary, "stopping": True}))
        self._socket.close(_LINGER_MS)
        self._context.term()

    def _send_due(self, now_s: float, summary: Mapping[str, Any]) -> None:
        if now_s >= self._beat_s:
            self._await_answer(now_s)
            if self._send("heartbeat", summary=plain(summary)):
                self._beat_s = now_s + self._settings.heartbeat_s
        if self._batch is None and (batch := self._outbox.batch()) is not None:
            self._await_answer(now_s)
            rows = [[number, unpack_verdict(body)] for number, body in batch.rows]
            if self._send("verdicts", rows=rows):
                self._batch = batch
                self._deadline_s = now_s + self._settings.ack_timeout_s
                self.sent += len(rows)

    def _await_answer(self, now_s: float) -> None:
        if self._deadline_s is None:
            self._deadline_s = now_s + self._settings.ack_timeout_s

    def _send(self, kind: str, **facts: object) -> bool:
        message = pack(
            kind,
            host=self._settings.host,
            epoch=self._outbox.epoch,
            acked=self._outbox.acked,
            dropped=self._outbox.dropped,
            **facts,
        )
        try:
            self._socket.send(message, zmq.NOBLOCK)
        except zmq.ZMQError:
            return False  # not connected yet or its queue is full: the deadline decides
        return True

    def _receive(self) -> None:
        try:
            self._take(unpack(self._socket.recv(zmq.NOBLOCK)))
        except PeerError as error:
            self.garbage += 1
            log.once("ship.garbage", central=self.endpoint, error=str(error))
        except zmq.ZMQError:
            return  # poll was too hopeful

    def _take(self, message: Mapping[str, Any]) -> None:
        if message["kind"] == "refused":
            reason = short_text(message, "reason", _REASON_LENGTH)
            self._fail(f"central refuses: {reason}", time.monotonic())
            return
        if message["kind"] != "ack" or message.get("epoch") != self._outbox.epoch:
            raise PeerError("no answer to what was sent")
        sequence, refused = whole_number(message, "sequence"), whole_number(message, "refused")
        self.last_ack_s = time.monotonic()
        if not self.connected:
            log.info("ship.connected", central=self.endpoint)
        self.connected, self.problem, self._failures_in_row = True, "", 0
        if self._batch is not None and sequence != self._batch.last:
            # The answer to a heartbeat, or to something before. It buys a batch no time: what was
            # sent to a central that ended is never answered, though its successor hears us.
            return
        self._deadline_s = None
        if self._batch is not None:
            self.acked += self._outbox.acknowledge(sequence)
            self.refused += refused
            self._batch = None

    def _fail(self, problem: str, now_s: float) -> None:
        if self.connected or not self.problem:
            log.warning("ship.disconnected", central=self.endpoint, problem=problem)
        self.connected, self.problem = False, problem
        self._retry_s = now_s + _BACKOFF_S[min(self._failures_in_row, len(_BACKOFF_S) - 1)]
        self._failures += 1
        self._failures_in_row += 1
        self._batch = self._deadline_s = None
        self._beat_s = 0.0
        self._socket.close(0)
        self._socket = self._connect()

    def _connect(self) -> "zmq.Socket[bytes]":
        found = self._context.socket(zmq.DEALER)
        found.curve_publickey = self._keys.public.encode()
        found.curve_secretkey = self._keys.secret.encode()
        found.curve_serverkey = self._settings.central_key.encode()
        found.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES)
        found.setsockopt(zmq.LINGER, 0)
        # A message for a central that is away belongs into the outbox, not into ZeroMQ's queue.
        found.setsockopt(zmq.IMMEDIATE, 1)
        found.setsockopt(zmq.SNDHWM, 4)
        found.setsockopt(zmq.RECONNECT_IVL, 200)
        found.setsockopt(zmq.RECONNECT_IVL_MAX, 5_000)
        found.connect(self.endpoint)
        return found
