"""The central collector: hosts tell it their verdicts; it stores, and answers questions.

It never commands a host. `serve` is `agent central`; `ask` is how `agent fleet`
puts a question to the one that runs, for the store belongs to one process.
Importing this loads neither ZeroMQ nor chDB.
"""

from pathlib import Path
from typing import Any

from agent.central.errors import CentralNotRunningError, CentralRunningError, QuestionError
from agent.central.settings import SOCKET_NAME, CentralSettings

__all__ = [
    "SOCKET_NAME",
    "CentralNotRunningError",
    "CentralRunningError",
    "CentralSettings",
    "QuestionError",
    "ask",
    "serve",
]


def serve(settings: CentralSettings) -> None:
    """Run central in the foreground until SIGTERM or SIGINT. See `agent.central.server.serve`."""
    from agent.central.server import serve as run

    run(settings)


def ask(socket: Path, question: str, **arguments: object) -> Any:  # noqa: ANN401
    """Put a question to the central that runs on this machine. See `agent.central.asking.ask`."""
    from agent.central.asking import ask as put

    return put(socket, question, arguments)
