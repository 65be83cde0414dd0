"""Who else opened what a workload holds, once it is sure that it was somebody else."""

import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from agent.daemon.holdings import Holdings
from agent.daemon.lineage import Lineage
from agent.daemon.registry import Found, Registry
from agent.daemon.seen import Seen
from collectors.sightings import Sighting

MOST_WAITING: Final = 1_000
"""Between two looks at /proc; each is a file and an executable that never met before."""


class Strangers:
    """Keeps each sighting until /proc was looked at: a server that starts anew is nobody's yet.

    Attributes:
        holdings: What there is to open.
    """

    def __init__(
        self, holdings: Holdings, lineage: Lineage, registry: Registry, seen: Seen
    ) -> None:
        """Know nobody."""
        self.holdings, self._lineage = holdings, lineage
        self._registry, self._seen = registry, seen
        self._waiting: deque[tuple[float, Sighting]] = deque()

    def take(self, sighting: Sighting) -> bool:
        """Keep it, unless it is the agent's own act; False for want of room."""
        if os.getpid() in {sighting.pid, sighting.ppid}:
            return True
        if len(self._waiting) >= MOST_WAITING:
            return False
        self._lineage.meet(sighting)  # while it lives
        self._waiting.append((time.monotonic(), sighting))
        return True

    @property
    def wait(self) -> bool:
        """Whether somebody waits for the next look."""
        return bool(self._waiting)

    def ripe(self, looked_s: float) -> Iterator[tuple[str, Sighting]]:
        """What was seen before a look at /proc: holder's name, and the sighting as it is told.

        The kernel is to tell again what turned out to be the workload's own: its next server
        may be an intruder's.
        """
        members = self._registry.membership.read() if self._waiting else {}
        while self._waiting and self._waiting[0][0] < looked_s:
            _, sighting = self._waiting.popleft()
            if not self.holdings.stands(sighting):
                continue
            holding = self.holdings.find(sighting)
            number, _ = members.get(sighting.pid, (0, 0))
            holders = [
                found
                for found in self._registry.workloads.values()
                if found.id in holding.workloads
            ]
            if number in holding.workloads or any(self._restarts(sighting, f) for f in holders):
                self._seen.forget([sighting.key])
                continue
            for found in holders:
                yield found.name, replace(sighting, item=holding.path, workload=found.id)

    def _restarts(self, sighting: Sighting, found: Found) -> bool:
        """Whether it is the holder's own command line, run anew and not recognised yet."""
        person = self._lineage.find(sighting.pid, sighting.ppid)
        roots = (self._lineage.find(pid) for pid in found.roots)
        return bool(person.cmdline[1:]) and any(
            (person.exe, person.cmdline) == (root.exe, root.cmdline) for root in roots
        )
