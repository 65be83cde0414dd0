"""Answers commands on a unix socket, in threads of its own."""

import contextlib
import grp
import os
import pwd
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

from agent.control import wire
from agent.errors import AgentError, PrivilegeError
from agent.log import log
from agent.powers import raised

Handler: TypeAlias = Callable[[Mapping[str, Any]], object]
"""Takes a request's arguments; returns plain values, or raises AgentError."""

GROUP: Final = "inferward"
_REQUEST_S: Final = 5.0  # for a request to arrive in full, and for its reply to be taken
_MAX_CONNECTIONS: Final = 16
_UCRED: Final = struct.Struct("3i")


class ControlServer:
    """Listens on `<run_dir>/control.sock` and calls the handler that a request names.

    Handlers run in the connection's thread: they post work to the loop and wait there.
    What is no request, or comes from a user without the right to ask, is counted,
    logged once and not answered.
    """

    def __init__(self, run_dir: Path, handlers: Mapping[str, Handler]) -> None:
        """Be ready to start; nothing listens yet."""
        self.path = run_dir / wire.SOCKET
        self.requests = 0
        self.garbage = 0
        self.refused = 0
        self._handlers = handlers
        self._listener: socket.socket | None = None
        self._places = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        self._counting = threading.Lock()

    def start(self) -> None:
        """Listen. The caller holds the directory's `Lock`, so an old socket there is a dead one's.

        Raises:
            PrivilegeError: The socket cannot be made there.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            self.path.unlink(missing_ok=True)
            listener.bind(str(self.path))
            self._share()
        except PermissionError as error:
            listener.close()
            raise PrivilegeError(f"Listening on {self.path}") from error
        listener.listen(_MAX_CONNECTIONS)  # before this, a connect is refused
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), name="control", daemon=True).start()
        log.info("control.started", path=self.path)

    def close(self) -> None:
        """Stop listening and remove the socket; requests under way end by themselves."""
        if self._listener is None:
            return
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
        self._listener.close()
        self._listener = None
        log.info("control.stopped", path=self.path)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _share(self) -> None:
        """Let the group in, where there is one."""
        self.path.chmod(0o660)
        with contextlib.suppress(KeyError):
            group = grp.getgrnam(GROUP).gr_gid
            with raised("chown"):
                os.chown(self.path.parent, -1, group)
                os.chown(self.path, -1, group)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # closed
            if not self._places.acquire(blocking=False):
                self._count("refused", "every place is taken")
                connection.close()
                continue
            serve = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            serve.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                self._answer(connection)
        finally:
            self._places.release()

    def _answer(self, connection: socket.socket) -> None:
        if not _may_ask(connection):
            self._count("refused", "neither root nor in the group")
            return
        try:
            request = wire.receive(connection, wire.MAX_REQUEST_BYTES, _REQUEST_S)
        except (wire.WireError, OSError) as error:
            self._count("garbage", str(error) or type(error).__name__)
            return
        reply = self._reply(request)
        connection.settimeout(_REQUEST_S)
        try:
            connection.sendall(reply)
        except OSError as error:
            log.debug("control.client_gone", why=error)

    def _reply(self, request: dict[str, Any]) -> bytes:
        op, args = request.get("op"), request.get("args", {})
        if not isinstance(op, str) or not isinstance(args, dict):
            self._count("garbage", "no operation")
            return _failure("This is no request.", 1)
        handler = self._handlers.get(op)
        if handler is None:
            return _failure(f"The running agent knows no {op!r}: is it another version?", 1)
        with self._counting:
            self.requests += 1
        try:
            return wire.pack({"result": handler(args)}, wire.MAX_REPLY_BYTES)
        except AgentError as error:
            return _failure(str(error), error.exit_code)
        except Exception as error:  # noqa: BLE001  (a mistake in one handler must not end the socket)
            log.error("control.request_failed", op=op, error=f"{type(error).__name__}: {error}")
            return _failure(f"The agent failed at {op!r}: see its log.", 1)

    def _count(self, what: str, why: str) -> None:
        with self._counting:
            setattr(self, what, getattr(self, what) + 1)
        if what == "garbage":
            log.once("control.garbage", why=why)
        else:
            log.once("control.refused", why=why)


def _failure(message: str, exit_code: int) -> bytes:
    return wire.pack({"error": message, "exit_code": exit_code}, wire.MAX_REPLY_BYTES)


def _may_ask(connection: socket.socket) -> bool:
    """Root, the daemon's own user, and members of the group may."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _, uid, gid = _UCRED.unpack(credentials)
    if uid in {0, os.geteuid()}:
        return True
    try:
        allowed = grp.getgrnam(GROUP).gr_gid
        return allowed in os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:  # no such group, or a user without a name
        return False
