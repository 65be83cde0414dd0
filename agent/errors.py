"""The program's own errors: the docstring is the message, the class carries the exit code.

A room subclasses one of these, so that the exit code follows from what went
wrong and not from where. Only `agent.main` turns them into exit codes.
"""

import inspect
from typing import ClassVar


class AgentError(Exception):
    """{0}."""

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        """Return the message: the class's docstring, filled with the arguments."""
        return inspect.cleandoc(type(self).__doc__ or "{0}.").replace("\n", " ").format(*self.args)


class KernelError(AgentError):
    """This kernel cannot run the agent: {0}. See `agent doctor` for what is missing."""

    exit_code: ClassVar[int] = 2


class NotRunningError(AgentError):
    """No agent answers at {0}. Start it with `agent run`, or with `systemctl start inferward`."""

    exit_code: ClassVar[int] = 3


class UnknownError(AgentError):
    """There is no {0} called {1!r}."""

    exit_code: ClassVar[int] = 4


class NotReadyError(AgentError):
    """{0} is not ready: {1}."""

    exit_code: ClassVar[int] = 5


class RefusedError(AgentError):
    """Refused: {0}."""

    exit_code: ClassVar[int] = 6


class PrivilegeError(AgentError):
    """{0} needs more privileges: run it as root, or with the capabilities in the unit file."""

    exit_code: ClassVar[int] = 77


class ConfigError(AgentError):
    """The configuration is wrong: {0}."""

    exit_code: ClassVar[int] = 78
