"""Errors: the docstring is the message, the class carries the exit code."""

import pytest

from agent.errors import (
    AgentError,
    ConfigError,
    KernelError,
    NotReadyError,
    NotRunningError,
    PrivilegeError,
    RefusedError,
    UnknownError,
)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (KernelError, 2),
        (NotRunningError, 3),
        (UnknownError, 4),
        (NotReadyError, 5),
        (RefusedError, 6),
        (PrivilegeError, 77),
        (ConfigError, 78),
    ],
)
def test_each_kind_has_its_exit_code(kind: type[AgentError], code: int) -> None:
    assert kind.exit_code == code


def test_the_docstring_is_filled_with_the_arguments() -> None:
    assert str(UnknownError("verdict", "01J")) == "There is no verdict called '01J'."


def test_a_docstring_of_several_lines_becomes_one_sentence() -> None:
    class LongError(AgentError):
        """No answer from {0}
        within {1:.0f} s.
        """

    assert str(LongError("h1", 2.0)) == "No answer from h1 within 2 s."
