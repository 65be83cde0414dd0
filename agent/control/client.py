"""Asks the running daemon."""

import socket
from pathlib import Path
from typing import Any, Final, Self

from agent.control import wire
from agent.errors import AgentError, NotRunningError, PrivilegeError

_TIMEOUT_S: Final = 30.0


class RemoteError(AgentError):
    """{0}"""  # noqa: D415  (the daemon's own sentence)

    @classmethod
    def carrying(cls, message: str, exit_code: int) -> Self:
        """Return the daemon's own sentence as an error with the daemon's own exit code."""
        kind = type(cls.__name__, (cls,), {"__doc__": cls.__doc__, "exit_code": exit_code})
        error: Self = kind(message)
        return error


class NoAnswerError(AgentError):
    """The agent at {0} did not answer within {1:.0f} s: it hangs or is overloaded."""

    exit_code = 2


def request(run_dir: Path, op: str, /, *, timeout_s: float = _TIMEOUT_S, **args: Any) -> Any:  # noqa: ANN401
    """Ask the daemon whose run directory is `run_dir` to do `op`; return what it answers.

    `timeout_s` bounds each of connecting, sending and waiting; every other name is an argument.

    Raises:
        NotRunningError: No daemon listens there.
        NoAnswerError: It did not answer in `timeout_s`.
        PrivilegeError: This user may not ask.
        RemoteError: It refused or failed, with its own exit code.
    """
    path = run_dir / wire.SOCKET
    message = wire.pack({"op": op, "args": args}, wire.MAX_REQUEST_BYTES)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(path))
            connection.sendall(message)
            reply = wire.receive(connection, wire.MAX_REPLY_BYTES, timeout_s)
        except PermissionError as error:
            raise PrivilegeError(f"Talking to the agent at {path}") from error
        except TimeoutError as error:
            raise NoAnswerError(path, timeout_s) from error
        except (OSError, wire.WireError) as error:
            raise NotRunningError(path) from error
    if "error" in reply:
        raise RemoteError.carrying(str(reply["error"]), int(reply["exit_code"]))
    return reply["result"]
