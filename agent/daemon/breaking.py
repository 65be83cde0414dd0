"""Tells that the agent stopped acting: the breaker is open, and an intruder may be about."""

import os
import time
from typing import TYPE_CHECKING, Final

from agent.daemon.alarms import alarm
from agent.log import log

if TYPE_CHECKING:
    from agent.daemon.daemon import Daemon

_NS: Final = 1_000_000_000
_DONE: Final = (
    "it takes no step by itself until some of them are older; `agent contain --force` still does"
)
_WHY: Final = "so many at once are an attack on many workloads, or a fault in what they learned"


class Breaking:
    """Looks at each tick; one verdict each time that the breaker opens."""

    def __init__(self, daemon: "Daemon") -> None:
        """An earlier daemon's breaker is told again: nobody acts now either."""
        self._daemon = daemon
        self._told = False

    def look(self, now_ns: int) -> None:
        """Ask whether the breaker opened since the last look."""
        opened = self._daemon.hands.breaker_open
        if opened and not self._told:
            self._tell(now_ns)
        self._told = opened

    def _tell(self, now_ns: int) -> None:
        daemon = self._daemon
        window_s = daemon.settings.response.breaker_minutes * 60
        begun = daemon.containments.begun_within(window_s, time.time_ns())
        names = ", ".join(dict.fromkeys(one.target.workload for one in begun))
        few = "one containment" if len(begun) == 1 else f"{len(begun)} containments"
        words = f"{few} began within {window_s / 60:.0f} minutes ({names})"
        log.error("breaker.opened", containments=len(begun), workloads=names)
        end_ns = now_ns + daemon.offset_ns
        span_ns = (end_ns - int(window_s * _NS), end_ns)
        process = daemon.lineage.describe(os.getpid())
        host, about = daemon.settings.host, "the agent acts no more on its own"
        daemon.tell(
            alarm(host, span_ns, process, [words], _DONE,
                  level="critical", about=about, why=_WHY, techniques=())
        )  # fmt: skip
