"""The breaker: after too many containments in too short a time the agent stops acting.

Pure: the time is an argument.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from agent.errors import RefusedError
from agent.response.containment import NANOSECONDS, Containment


class BreakerOpenError(RefusedError):
    """Refused: {0} containments began within {1:.0f} min; --force if you are sure."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """Opens when `limit` containments began within `window_s`; closes by itself as they age.

    Its memory is the journal: it needs no state of its own and survives every
    restart. Raising a containment by a step is not a further one. Containments
    by hand count like automatic ones: a script that contains in a loop is what
    the breaker is for; an operator who means it says `--force`.

    Attributes:
        limit: Containments; 3 unless configured.
        window_s: Seconds; 600 unless configured.
    """

    limit: int = 3
    window_s: float = 600.0

    def counted(self, containments: Iterable[Containment], now_unix_ns: int) -> int:
        """Return how many of `containments` began within the window.

        One that began "later than now" counts too: a clock set back must not reset the breaker.
        """
        oldest_ns = now_unix_ns - int(self.window_s * NANOSECONDS)
        return sum(containment.begun_unix_ns > oldest_ns for containment in containments)

    def open(self, containments: Iterable[Containment], now_unix_ns: int) -> bool:
        """Return whether one more containment is one too many."""
        return self.counted(containments, now_unix_ns) >= self.limit
