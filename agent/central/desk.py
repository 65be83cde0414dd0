"""Answers the questions that `agent fleet` puts to a running central."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import zmq

from agent.central.errors import CentralBindError, StoreFailedError
from agent.central.settings import SOCKET_NAME
from agent.central.store import Question
from agent.log import log
from agent.store.levels import LEVELS

_QUESTION_BYTES: Final = 64 << 10
_LIMIT: Final = 100_000
_LATEST_NS: Final = (1 << 63) - 1
Row = dict[str, Any]

_TEXTS: Final = ("host", "workload", "id_prefix")


class Desk:
    """The socket for questions. A bad question gets words back; nothing else happens.

    Args:
        context: ZeroMQ's.
        run: Directory of the socket.
        hosts, verdicts, status: Give the answers.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        run: Path,
        hosts: Callable[[], list[Row]],
        verdicts: Callable[[Question], list[Row]],
        status: Callable[[], Row],
    ) -> None:
        self._hosts = hosts
        self._verdicts = verdicts
        self._status = status
        self.garbage = 0
        self.path = run / SOCKET_NAME
        self.socket = context.socket(zmq.REP)
        self.socket.setsockopt(zmq.LINGER, 1_000)
        self.socket.setsockopt(zmq.MAXMSGSIZE, _QUESTION_BYTES)
        _bind_private(self.socket, self.path)

    def close(self) -> None:
        """Stop answering."""
        self.socket.close()
        self.path.unlink(missing_ok=True)

    def serve_one(self) -> None:
        """Answer the question that waits."""
        try:
            reply = {"answer": self._answer(json.loads(self.socket.recv(zmq.NOBLOCK)))}
        except zmq.ZMQError:
            return
        except (ValueError, TypeError, RecursionError) as error:
            self.garbage += 1
            log.once("central.question_refused", error=str(error))
            reply = {"error": f"this is no question: {error}"}
        except StoreFailedError as error:
            log.error("central.store_failed", error=str(error))
            reply = {"error": str(error)}
        self.socket.send(json.dumps(reply).encode())

    def _answer(self, request: object) -> object:
        if not isinstance(request, dict):
            raise TypeError("it is no JSON object")
        question = request.pop("question", None)
        if question == "verdicts":
            return self._verdicts(_question(request))
        if request:
            raise ValueError(f"unknown arguments {', '.join(sorted(request))}")
        if question == "hosts":
            return self._hosts()
        if question == "status":
            return self._status()
        raise ValueError(f"unknown question {question!r}")


def _question(request: dict[str, Any]) -> Question:
    for name in _TEXTS:
        if not isinstance(request.get(name, ""), str):
            raise TypeError(f"{name} is no text")
    for name, highest in (("since_ns", _LATEST_NS), ("limit", _LIMIT)):
        value = request.get(name, 1)
        if not isinstance(value, int) or not 0 <= value <= highest:
            raise ValueError(f"{name} is no whole number up to {highest}")
    if request.get("min_level", LEVELS[0]) not in LEVELS:
        raise ValueError(f"min_level is none of {', '.join(LEVELS)}")
    return Question(**request)  # TypeError for an unknown argument


def _bind_private(found: "zmq.Socket[bytes]", path: Path) -> None:
    before = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)  # left by a killed central; the lock says that none runs
        found.bind(f"ipc://{path}")
    except (zmq.ZMQError, OSError) as error:
        raise CentralBindError(path, error) from error
    finally:
        os.umask(before)
