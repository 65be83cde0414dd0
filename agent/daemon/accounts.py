"""Gathers what each stage counted; the table itself is `stages`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from agent.daemon import stages
from agent.daemon.stages import Stage

if TYPE_CHECKING:
    from agent.daemon.daemon import Daemon
    from agent.ship.shipper import ShipStats
    from collectors.counters import Counts

_CALL_MASK: Final = 511  # GRAM_BITS of a word: its newest call, plus one
_EXIT: Final = 60 + 1  # is no call that returns: counted in sequences alone
_OF_RECORDS: Final = ("taken_by_another", stages.UNEXPLAINED, "rejected", "failed", "not_judged")
_OF_ITEMS: Final = ("of_no_workload", "not_judged", "strangers")
_OWN_STAGE: Final = frozenset({"ring_full", "crowds_full", "grams_full", "routes_full"})
_SETTLE_LOOKS: Final = 16


class Accounts:
    """Counts beside the loop what no stage counts for itself.

    Attributes:
        read: Records taken out of the ring.
        decoded: Records that became sightings, or part of one.
        went: Sightings, by where they went.
        lost: Sightings and records, by reason, as the loop lost them.
        judged: Windows, of those that were due.
        late: Windows that were longer than half as much again as planned.
        summarised: Records beyond a workload's pace, as they were not made.
        crowded: Of those, by the latest reading.
    """

    def __init__(self, daemon: Daemon) -> None:
        """Begin with what waits in the ring now."""
        self._daemon = daemon
        self.read = self.decoded = self.sightings = 0
        self.went: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.due = self.judged = self.late = 0
        self.longest_s = 0.0
        self.calls = self.in_sequences = 0
        self.requests = self.by_route = 0
        self.summarised = self.crowded = 0
        self._first = True
        # What another reader took while no daemon ran came in, too, and is lost.
        before = daemon.sensor.before
        left = before.ring.waiting if before is not None and before.ring is not None else 0
        self._base = self._submitted_and_not_waiting() - daemon.sensor.ring.taken - left
        self._told: Counter[str] = Counter()

    def count(self, counts: Counts, length_s: float, planned_s: float) -> None:
        """Add one reading of the kernel's counters, which closes a window of this length."""
        calls = self._daemon.sensor.schema.enum("counter")["COUNT_SYSCALLS"]
        self.calls += int(counts.totals[:, calls].sum())
        returned = (counts.grams["word"] & _CALL_MASK) != _EXIT
        self.in_sequences += int(counts.grams["count"][returned].sum())
        counter = self._daemon.sensor.schema.enum("counter")
        self.crowded = int(counts.totals[:, counter["COUNT_SUMMARISED"]].sum())
        self.summarised += self.crowded
        if not self._first:  # the first reading holds what was asked while no agent ran
            asked = counter["COUNT_REQUESTS"]
            self.requests += int(counts.totals[:, asked].sum())
            self.by_route += sum(one.total("requests") for one in counts.traffic.values())
        self._first = False
        self.late += length_s > 1.5 * planned_s
        self.longest_s = max(self.longest_s, length_s)

    def left_by_another(self, records: int) -> None:
        """So many came in that were out of the ring before this daemon."""
        self._base -= records

    def since_last(self) -> dict[str, int]:
        """Losses of records in user space since the last call: of the window that closes now.

        Whose records they were nobody can say, so every workload's window carries them.
        """
        now: Counter[str] = Counter()
        for stage in (self._ring(), self._decode(), self._items()):
            now.update({r: n for r, n in stage.told()["lost"].items() if r in _OF_RECORDS})
        fresh = {reason: now[reason] - self._told[reason] for reason in now}
        self._told = now
        return {reason: count for reason, count in fresh.items() if count > 0}

    def told(self) -> list[dict[str, Any]]:
        """The whole table, in the order of the way."""
        return [stage.told() for stage in self._stages()]

    def _stages(self) -> list[Stage]:
        losses, daemon = self._daemon.health.kernel_losses, self._daemon
        crowds = daemon.router.crowds
        marks = {r: n for r, n in losses.items() if r not in _OWN_STAGE}
        found = [
            stages.kernel(
                daemon.health.submitted.total(),
                self.summarised,
                {name: losses[name] for name in ("ring_full", "crowds_full")},
            ),
            stages.crowds(self.summarised, crowds.told, crowds.waiting),
            stages.calls(self.calls, self.in_sequences, losses["grams_full"]),
            stages.requests(self.requests, self.by_route, losses["routes_full"]),
            stages.marks(marks),
            self._ring(),
            self._decode(),
            self._items(),
            stages.windows(self.due, self.judged, self.lost["window"], self.late, self.longest_s),
            self._store(),
        ]
        if daemon.shipper is not None:
            found.append(self._outbox(daemon.shipper.stats()))
        ledger, fitter = daemon.artifacts, daemon.fitter
        return [
            *found,
            Stage("ledger", ledger.came, ledger.noted, dict(ledger.reasons), ledger.pending),
            Stage("fit", fitter.asked, fitter.fitted, {"failed": fitter.failed}, fitter.pending),
        ]

    def _ring(self) -> Stage:
        ring = self._daemon.sensor.ring
        submitted = self._submitted() - self._base
        lost = {"taken_by_another": ring.taken, "discarded": ring.discarded}
        # A record that is discarded was never submitted.
        came = submitted + ring.discarded
        return stages.ring(came, self.read, ring.waiting, lost)

    def _decode(self) -> Stage:
        rejected = self._daemon.records.reader.rejected
        return stages.decode(self.read, self.decoded, rejected, self.lost["failed"])

    def _items(self) -> Stage:
        lost = {reason: self.lost[reason] for reason in _OF_ITEMS}
        return stages.items(self.sightings, self.went, lost)

    def _store(self) -> Stage:
        store = self._daemon.store
        lost = stages.by_level(store.lost, "disk_full")
        more = {"told_before": store.repeated}
        return Stage("store", store.appended, store.written, lost, store.waiting, more)

    @staticmethod
    def _outbox(stats: ShipStats) -> Stage:
        lost = {"refused": stats.refused} | stages.by_level(stats.dropped, "dropped")
        went = stats.acked - stats.refused
        return Stage("outbox", stats.came, went, lost, stats.queued, {"sent": stats.sent})

    def _submitted(self) -> int:
        return int(self._daemon.sensor.maps["submitted"].array().sum())

    def _submitted_and_not_waiting(self) -> int:
        """Submitted and out of the ring before this daemon; looked at until it stands still."""
        before, found = -1, 0
        for _ in range(_SETTLE_LOOKS):
            found = self._submitted() - self._daemon.sensor.ring.waiting
            if found == before:
                break
            before = found
        return found
