"""Drills that only ask the drills' own server something: what a client on the network can do."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from agent.drills.rig import Rig
from agent.drills.server import MANAGED, UNMANAGED

SWEPT: Final = 300
"""Different things; the server's honest client asks for one."""

Asking = Callable[[Rig], None]


def sweep(rig: Rig) -> None:
    """Ask for ever different things, as whoever copies a model by its answers."""
    for at in range(SWEPT):
        rig.ask("GET", f"/predict?input={at}")


def manage(rig: Rig) -> None:
    """Have the server load a model, which it says it did."""
    expect(rig.ask("POST", MANAGED), HTTPStatus.OK)


def refused(rig: Rig) -> None:
    """Ask it for the same by a name that it does not have."""
    expect(rig.ask("POST", UNMANAGED), HTTPStatus.NOT_FOUND)


def expect(status: int, wanted: HTTPStatus) -> None:
    """Raise OSError if the server answered otherwise: the drill was none then."""
    if status != wanted:
        raise OSError(f"the drills' server answered {status}")


ASKING: Final[dict[str, Asking]] = {
    "client-sweep": sweep,
    "management-call": manage,
    "management-refused": refused,
}
