"""Looks at /proc for what no record announced, paced so that they stay cheap."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from collectors.processes import ProcessTable, snapshot

APART_S: Final = 1.0
"""At most this often for programs nobody watches: a host that compiles starts hundreds a second."""

SHARE: Final = 0.01
"""Of one core, for such looks: with thousands of processes each takes long, and the next waits."""


class Looks:
    """Takes over from one look to the next what an exec alone can change.

    Attributes:
        ran: Processes that ran a new program since the last look.
    """

    def __init__(self) -> None:
        """Have seen nothing."""
        self.ran: set[int] = set()
        self._latest: ProcessTable | None = None
        self._next_s = 0.0

    @contextmanager
    def look(self) -> Iterator[ProcessTable]:
        """Give what runs now; what is done with it counts as the look's cost."""
        began_s, first = time.thread_time(), self._latest is None
        self._latest = snapshot(before=self._latest, ran=self.ran)
        self.ran = set()
        yield self._latest
        # The first reads everything, and says nothing of what the next will cost.
        cost_s = 0.0 if first else time.thread_time() - began_s
        self._next_s = time.monotonic() + max(APART_S, cost_s / SHARE)

    @property
    def affordable(self) -> bool:
        """Whether one may be taken out of turn."""
        return time.monotonic() > self._next_s
