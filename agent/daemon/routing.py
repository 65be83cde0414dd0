"""Records to whom they concern: a workload's watcher, the self-test, or nobody watched."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from agent.log import log
from collectors.records import Records
from probes.errors import ProbeError

if TYPE_CHECKING:
    from agent.daemon.daemon import Daemon
    from agent.daemon.watcher import Watcher
    from collectors.sightings import Sighting
    from probes.ring import Batch


class Router:
    """Takes one batch after the other; what it cannot hand on is counted.

    Attributes:
        unwatched_exec: A program that nobody watches was started: it may be a server.
    """

    def __init__(self, daemon: Daemon) -> None:
        """Have routed nothing."""
        self._daemon = daemon
        self.unwatched_exec = False

    def take(self, batch: Batch) -> None:
        """Decode it, and hand each sighting to whom it concerns."""
        self._daemon.accounts.read += len(batch)
        self.route(self._decoded(batch, self._daemon.records))

    def take_before(self) -> None:
        """Records that an earlier object left in a ring of its own, in its own layout."""
        before = self._daemon.sensor.before
        if before is None or before.ring is None:
            return
        try:
            records = Records(before.schema)
        except (KeyError, ProbeError) as error:
            count = before.ring.waiting
            self._daemon.accounts.read += count
            self._daemon.accounts.lost["failed"] += count
            log.error("records.failed", error=f"of the object before, {count} records: {error}")
            return
        while len(batch := before.ring.peek()):
            self._daemon.accounts.read += len(batch)
            self.route(self._decoded(batch, records))
            before.ring.advance()

    def _decoded(self, batch: Batch, records: Records) -> list[Sighting]:
        accounts = self._daemon.accounts
        before = records.reader.rejected
        try:
            sightings = records.feed(batch)
        except Exception as error:  # noqa: BLE001 - one record must not blind the agent for good
            # Kept in the ring, it would meet the next daemon too, and the one after that.
            records.reader.rejected = before
            accounts.lost["failed"] += len(batch)
            log.error("records.failed", error=f"{type(error).__name__}: {error}")
            return []
        accounts.decoded += len(batch) - (records.reader.rejected - before)
        return sightings

    def route(self, sightings: list[Sighting]) -> None:
        """Hand each sighting to whom it concerns; those of operator probes come here, too."""
        daemon, went, lost = self._daemon, self._daemon.accounts.went, self._daemon.accounts.lost
        daemon.accounts.sightings += len(sightings)
        daemon.operator.depart(sightings)
        daemon.looks.ran.update(s.pid for s in sightings if s.kind == "exec")
        by_workload: dict[int, list[Sighting]] = defaultdict(list)
        for sighting in sightings:
            by_workload[sighting.workload].append(sighting)
        unwatched = by_workload.pop(0, [])
        went["unwatched"] += len(unwatched)
        self.unwatched_exec |= any(s.kind == "exec" for s in unwatched)
        for number, mine in by_workload.items():
            if number == daemon.selftest.number:
                daemon.selftest.seen += mine
                went["self_test"] += len(mine)
                continue
            watcher = daemon.watchers.get(daemon.registry.name_of(number) or "")
            if watcher is None:
                lost["of_no_workload"] += len(mine)
            elif self._judged(watcher, mine):
                went["watched"] += len(mine)
            else:
                lost["not_judged"] += len(mine)

    def _judged(self, watcher: Watcher, sightings: list[Sighting]) -> bool:
        try:
            watcher.see(sightings, self._daemon.membership.role_of)
            self._daemon.artifacts.see(sightings, watcher.found.name)
        except Exception as error:  # noqa: BLE001 - one record must not blind the agent for good
            log.error("records.failed", error=f"{type(error).__name__}: {error}")
            return False
        return True
