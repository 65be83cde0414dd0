"""A machine that stops before it did anything is booted again; one that ran a suite is not."""

from collections.abc import Iterator

import pytest

from tests.vm import matrix
from tests.vm.run import Session
from tests.vm.suites import Suite

ONE = Suite("one", "is first", "true", 60)
STOPPED = Session("6.12", None, "a panic while it unpacks", "", 2.0)
CUT = Session("6.12", None, "suite-begin one 1.0\nsome words", "", 20.0)
WHOLE = Session("6.12", 0, "suite-begin one 1.0\nsuite-end one 0 2.0", "", 20.0)


@pytest.mark.parametrize(
    ("sessions", "status"),
    [((WHOLE,), 0), ((STOPPED, WHOLE), 0), ((STOPPED, STOPPED), None), ((CUT,), None)],
)
def test_who_stopped_before_its_first_suite_is_booted_once_more(
    monkeypatch: pytest.MonkeyPatch, sessions: tuple[Session, ...], status: int | None
) -> None:
    booted: Iterator[Session] = iter(sessions)
    monkeypatch.setattr(matrix, "boot", lambda *_, **__: next(booted))
    (outcome,) = matrix.run_vm("6.12", (ONE,))
    assert outcome.status == status
    assert list(booted) == []
