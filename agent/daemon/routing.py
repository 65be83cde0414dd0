"""Records to whom they concern: a workload's watcher, the self-test, or nobody watched."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Final

from agent.daemon.inflight import InFlight
from agent.daemon.takings import Takings
from agent.log import log
from collectors.crowds import Crowds
from collectors.mounts import Mounts
from collectors.records import Records
from probes.errors import ProbeError
from probes.ring import Batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.daemon.daemon import Daemon
    from agent.daemon.watcher import Watcher
    from collectors.sightings import Sighting


RECENT: Final = 256
"""Verdicts looked through for what a daemon that was killed had told already."""


class Router:
    """Takes one batch after the other; what it cannot hand on is counted.

    Attributes:
        unwatched_exec: A program that nobody watches was started: it may be a server.
        crowds: What was beyond a workload's pace.
    """

    def __init__(self, daemon: Daemon) -> None:
        """Have routed nothing."""
        self._daemon = daemon
        self._mounts = Mounts()
        self.takings = Takings()
        self.crowds = Crowds(daemon.sensor, daemon.records)
        self.unwatched_exec = False
        self._again: set[tuple[str, str, int, int]] = set()
        ring, run = daemon.sensor.ring, daemon.settings.paths.run
        ring.keep(run / "ring-position")
        record_bytes = daemon.sensor.schema.limit("RECORD_BYTES")
        self._in_flight = InFlight(run / "in-flight", ring.id, record_bytes)

    def begin(self) -> None:
        """Take what earlier daemons read or left, before anything new."""
        self._take_in_flight(self._in_flight)
        self._take_before()

    def judged(self) -> None:
        """Everything taken so far was judged, and what it led to is written."""
        self._in_flight.clear()

    def take(self, batch: Batch) -> None:
        """Decode it, and hand each sighting to whom it concerns."""
        self._daemon.accounts.read += len(batch)
        sightings = self._decoded(batch, self._daemon.records)
        if self._again:  # at the ring's head may be what was kept, too, and not yet given back
            sightings = self._without(sightings, lambda s: _identity(s) in self._again)
            self._again = set()
        self.route(sightings)
        self._in_flight.add(batch.raw)

    def tell_crowds(self, now_ns: int) -> None:
        """Hand on what the latest reading of the counters says was not told one by one."""
        if self._daemon.accounts.crowded or self.crowds.due:
            self.route(self.crowds.read(now_ns))

    def _take_in_flight(self, left: InFlight) -> None:
        """Records that a daemon before had read and not judged; what it told already stays told."""
        daemon = self._daemon
        daemon.accounts.left_by_another(len(left.found) + left.beyond)
        daemon.accounts.read += len(left.found) + left.beyond
        daemon.accounts.lost["failed"] += left.beyond
        before = daemon.sensor.before
        if left.ring == daemon.sensor.ring.id:
            schema = daemon.sensor.schema
        elif before is not None and before.ring is not None and left.ring == before.ring.id:
            schema = before.schema
        else:
            daemon.accounts.lost["failed"] += len(left.found)
            return
        records = daemon.records if schema is daemon.sensor.schema else Records(schema)
        sightings = self._decoded(Batch(left.found, schema), records)
        self._again = {_identity(sighting) for sighting in sightings}
        told = {
            (verdict["workload"], novel["pid"], novel["time_ns"])
            for verdict in daemon.store.verdicts(limit=RECENT)
            for novel in verdict["novel"]
        }
        name_of = daemon.registry.name_of
        self.route(
            self._without(sightings, lambda s: (name_of(s.workload), s.pid, s.time_ns) in told)
        )

    def _without(
        self, sightings: list[Sighting], told: Callable[[Sighting], bool]
    ) -> list[Sighting]:
        fresh = [sighting for sighting in sightings if not told(sighting)]
        repeated = len(sightings) - len(fresh)
        self._daemon.accounts.sightings += repeated
        self._daemon.accounts.went["told_before"] += repeated
        return fresh

    def _take_before(self) -> None:
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
            if sighting.kind == "stranger":
                (went if daemon.strangers.take(sighting) else lost)["strangers"] += 1
            elif daemon.cuda.take(sighting):
                went["gpu"] += 1
            else:
                by_workload[sighting.workload].append(sighting)
        unwatched = by_workload.pop(0, [])
        went["unwatched"] += len(unwatched)
        self.unwatched_exec |= any(s.kind == "exec" for s in unwatched)
        for number, told in by_workload.items():
            mine = self._mounts.complete(told)
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

    def met(self, looked_s: float) -> None:
        """Hand on what strangers did before a look at /proc: who they are is known by now."""
        for name, sighting in self._daemon.strangers.ripe(looked_s):
            self._judged(self._daemon.watchers[name], [sighting])
            self.takings.follow(name, sighting)

    def taken(self, now_ns: int) -> None:
        """Hand on how much strangers have read of what they opened."""
        percents = self._daemon.settings.models.theft_percent
        for name, sighting in self.takings.look(percents, now_ns):
            if (watcher := self._daemon.watchers.get(name)) is not None:
                self._judged(watcher, [sighting])

    def completed(self, sighting: Sighting) -> None:
        """Hand on what was found out beside the loop."""
        name = self._daemon.registry.name_of(sighting.workload)
        if (watcher := self._daemon.watchers.get(name or "")) is not None:
            self._judged(watcher, [sighting])

    def _judged(self, watcher: Watcher, sightings: list[Sighting]) -> bool:
        try:
            watcher.see(sightings, self._daemon.membership.role_of)
            self._daemon.artifacts.see(sightings, watcher.found.name, self._exe)
            self._daemon.approved.see(sightings, watcher.found.name, self._exe)
            ordinary = partial(watcher.ordinary, self._daemon.membership.role_of)
            self._daemon.strangers.holdings.see(sightings, watcher.found.id, ordinary)
        except Exception as error:  # noqa: BLE001 - one record must not blind the agent for good
            log.error("records.failed", error=f"{type(error).__name__}: {error}")
            return False
        return True

    def _exe(self, pid: int) -> str:
        return self._daemon.lineage.find(pid).exe


def _identity(sighting: Sighting) -> tuple[str, str, int, int]:
    return sighting.kind, sighting.item, sighting.pid, sighting.time_ns
