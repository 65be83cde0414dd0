"""The agent's own eyes: what was done to them is noticed, put back, and told."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from agent.daemon.alarms import alarm
from agent.daemon.sight import Sight
from agent.log import log
from agent.powers import LOAD, raised
from probes.errors import ProbeError
from probes.holding import mounted

if TYPE_CHECKING:
    from agent.daemon.daemon import Daemon

_NS: Final = 1_000_000_000

HEALS: Final = 12
"""Times in one `PERIOD_S` that what was taken is put back: two agents do not fight for ever."""

PERIOD_S: Final = 600.0
"""Over which those are counted, and for which what was put back is still told in the status."""


class Integrity:
    """Looks after links, maps, pins, ring and members; one per daemon."""

    def __init__(self, daemon: Daemon) -> None:
        """Find everything in order."""
        self._daemon = daemon
        self.sight = Sight()
        self.alarms = 0
        self._heals: deque[int] = deque(maxlen=HEALS)
        self._healed: tuple[str, ...] = ()
        self._open: tuple[str, ...] = ()
        self._told: tuple[str, ...] = ()
        self._well_ns = time.monotonic_ns()
        self._tracefs = mounted("tracefs")
        self._taken = self._wiped = 0
        self._read = -1
        self._stuck = False

    def begin(self, now_ns: int) -> None:
        """Tell what an earlier agent's pins had lost before this one came."""
        if self._daemon.sensor.damage:
            what = tuple(str(damage) for damage in self._daemon.sensor.damage)
            self._tell(now_ns, what, "it is back since this agent started")
            self._heals.append(now_ns)
            self._healed = what

    def check(self, now_ns: int) -> None:
        """Look at everything once; put back what can be, tell what was found."""
        what = self._taken_away()
        allowed = len(self._heals) < HEALS or now_ns - self._heals[0] > PERIOD_S * _NS
        self._open = self._left_open(now_ns, what, allowed=allowed) if what else ()
        found = what + self._done_to_contents()
        if found and found != self._told:
            done = "it was put back" if not self._open else "it could not be put back"
            self._tell(now_ns, found, done if what else "it goes on with what is left")
        self._told = found if self._open else ()
        if not found:
            self._well_ns = now_ns

    def look(self, now_ns: int) -> None:
        """Ask whether the calls of every workload are still counted."""
        daemon = self._daemon
        watched = [w.found for w in daemon.watchers.values() if w.found.pids and not w.held()]
        calls = {found.name: daemon.health.calls[found.id] for found in watched}
        blind = self.sight.look({found.name: found.pids for found in watched}, calls)
        for name in blind:
            log.error("sensor.blind", workload=name)
            daemon.membership.adopt()
            self._tell(
                now_ns, (f"{name} works but no call of it is seen",), "its threads were tagged anew"
            )

    def reasons(self, now_ns: int) -> list[tuple[int, str]]:
        """What is not well: (1 degraded, 2 unhealthy; a sentence)."""
        found = [(2, words) for words in self._open]
        found += [(2, f"{n} works but no call of it is seen") for n in sorted(self.sight.blind)]
        if self._stuck:
            found.append((2, "records wait in the ring and none can be read"))
        if self._heals and now_ns - self._heals[-1] < PERIOD_S * _NS and not self._open:
            words = "; ".join(self._healed[:3])
            found.append((1, f"somebody took the agent's eyes away, and they are back: {words}"))
        if self._tracefs and not mounted("tracefs"):
            found.append((1, "tracefs is gone: operator probes cannot be attached"))
        return found

    def _taken_away(self) -> tuple[str, ...]:
        try:
            return tuple(str(damage) for damage in self._daemon.sensor.holding.inspect())
        except (ProbeError, OSError) as error:
            return (f"the agent's own links and maps cannot be looked at: {error}",)

    def _left_open(self, now_ns: int, what: tuple[str, ...], *, allowed: bool) -> tuple[str, ...]:
        if not allowed:
            return (*what, f"put back {HEALS} times in {PERIOD_S / 60:.0f} minutes, and no more")
        try:
            with raised(*LOAD):
                left = self._daemon.sensor.holding.heal()
        except (ProbeError, OSError) as error:
            log.once("probes.not_healed", why=error)
            return what
        log.error("probes.damaged", what=list(what), healed=not left)
        if left:
            return (*what, *(str(damage) for damage in left))
        self._heals.append(now_ns)
        self._healed = what
        return ()

    def _done_to_contents(self) -> tuple[str, ...]:
        """Records taken by another reader, members taken out: counted or put back already."""
        daemon, found = self._daemon, []
        if (taken := daemon.sensor.ring.taken) > self._taken:
            found.append(f"another reader took {taken - self._taken} records out of the ring")
            self._taken = taken
        if (wiped := daemon.registry.wiped) > self._wiped:
            found.append(f"{wiped - self._wiped} members were taken out of the kernel's list")
            self._wiped = wiped
        read = daemon.records.reader.read
        self._stuck = bool(daemon.sensor.ring.waiting) and read == self._read
        self._read = read
        return tuple(found)

    def _tell(self, now_ns: int, what: tuple[str, ...], done: str) -> None:
        daemon = self._daemon
        self.alarms += 1
        span_ns = (self._well_ns + daemon.offset_ns, now_ns + daemon.offset_ns)
        process = daemon.lineage.describe(os.getpid())
        daemon.tell(alarm(daemon.settings.host, span_ns, process, what, done))
