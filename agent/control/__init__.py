"""The control socket: how commands ask the running daemon, and how only one daemon runs.

One request a connection: a length, then MessagePack, both ways. Only root and
members of the group `inferward` are heard.
"""

from agent.control.client import NoAnswerError, RemoteError, request
from agent.control.lock import AlreadyRunningError, Lock
from agent.control.server import ControlServer, Handler

__all__ = [
    "AlreadyRunningError",
    "ControlServer",
    "Handler",
    "Lock",
    "NoAnswerError",
    "RemoteError",
    "request",
]
