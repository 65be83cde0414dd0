"""The port for hosts: encrypted, behind the allow-list, with what is turned away counted."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from agent.central.errors import CentralBindError
from agent.central.gate import AllowList, answer
from agent.log import log
from agent.ship.wire import MESSAGE_BYTES

_HANDSHAKE_MS: Final = 5_000
_HEARTBEAT_MS: Final = 10_000
_QUEUE: Final = 64  # messages of at most 1 MiB held for one host before its TCP stream waits
_TOLD: Final = 1_000  # strangers logged by key before they are only counted
_EVENTS: Final = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


@dataclass(frozen=True, slots=True)
class Letter:
    """One message as it came in.

    Attributes:
        peer: ZeroMQ's routing id of the connection.
        host: The name its key is allowed under; None if it was revoked meanwhile.
        public_key: That key.
        address: The peer's IP address.
        body: The message.
    """

    peer: bytes
    host: str | None
    public_key: str
    address: str
    body: bytes


class Door:
    """The ROUTER socket, its gate keeper (ZAP) and its monitor.

    Raises:
        CentralBindError: The address cannot be had.
    """

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", bind: str, secret: str, keys: Path
    ) -> None:
        self._allowed = AllowList(keys)
        self._accepted = self._succeeded = self._closed = 0
        self._told: set[str] = set()
        # ZAP must answer before the first connection can come.
        self._zap = context.socket(zmq.REP)
        self._zap.bind("inproc://zeromq.zap.01")
        self.router = context.socket(zmq.ROUTER)
        self.router.curve_server = True
        self.router.curve_secretkey = secret.encode("ascii")
        self.router.zap_domain = b"inferward"
        self.router.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES)
        self.router.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
        self.router.setsockopt(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
        self.router.setsockopt(zmq.RCVHWM, _QUEUE)
        self.router.setsockopt(zmq.SNDHWM, _QUEUE)
        self.router.setsockopt(zmq.LINGER, 500)
        self._monitor = self.router.get_monitor_socket(_EVENTS)
        try:
            self.router.bind(bind)
        except zmq.ZMQError as error:
            self.close()
            raise CentralBindError(bind, error) from error

    @property
    def sockets(self) -> "tuple[zmq.Socket[bytes], ...]":
        """What to wait for."""
        return (self.router, self._zap, self._monitor)

    @property
    def address(self) -> str:
        """The address it listens on, with the port the kernel chose for port 0."""
        return self.router.getsockopt_string(zmq.LAST_ENDPOINT)

    @property
    def connections(self) -> int:
        """Connections open now."""
        return self._accepted - self._closed

    @property
    def strangers(self) -> int:
        """Connections that never showed an allowed key: scanners, garbage, wrong keys."""
        return self._accepted - self._succeeded

    def close(self) -> None:
        """Stop listening."""
        self.router.disable_monitor()
        self._monitor.close(0)
        self._zap.close(0)
        self.router.close()

    def admit(self) -> None:
        """Let in or turn away those who knock, and count."""
        while self._zap.poll(0):
            request = self._zap.recv_multipart()
            reply, refused = answer(request, self._allowed, z85.encode)
            if refused and len(self._told) < _TOLD and refused not in self._told:
                self._told.add(refused)
                address = request[3].decode("ascii", "replace")
                log.warning("central.key_refused", public_key=refused, address=address)
            self._zap.send_multipart(reply)
        while self._monitor.poll(0):
            self._count(recv_monitor_message(self._monitor)["event"])

    def receive(self, limit: int) -> Iterator[Letter]:
        """Return up to `limit` messages that wait."""
        for _ in range(limit):
            try:
                frames = self.router.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            last = frames[-1]
            key = str(last.get("User-Id"))
            yield Letter(
                frames[0].bytes,
                self._allowed.name_of(key),
                key,
                str(last.get("Peer-Address")),
                last.bytes if len(frames) == 2 else b"",  # noqa: PLR2004 - routing id and body
            )

    def _count(self, event: int) -> None:
        if event == zmq.EVENT_ACCEPTED:
            self._accepted += 1
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._succeeded += 1
        elif event == zmq.EVENT_DISCONNECTED:
            self._closed += 1
        else:
            log.once("central.stranger", reason=str(zmq.Event(event).name).lower())
