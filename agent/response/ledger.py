"""The containments that the journal tells of: read, begun, advanced, forgotten in the end."""

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from agent.response.containment import NANOSECONDS, Containment, Event, Step, advance
from agent.response.journal import Journal
from agent.response.processes import boot_id

KEPT_S: Final = 7 * 86400
"""How long ended containments stay in the journal, for `agent containments` and the breaker."""

KEPT_COUNT: Final = 200
"""At most this many of them are carried through a compaction."""


class Ledger:
    """Containments by id, oldest first, each change written to the journal before it counts.

    Every method but `changed` and `live` wants the journal's lock to be held,
    and every method that writes raises JournalError.

    Args:
        state: The state directory.
    """

    def __init__(self, state: Path) -> None:
        self.journal = Journal(state)
        self.boot = boot_id()
        self.known: dict[str, Containment] = {}

    def load(self) -> None:
        """Read the journal; what another start of the host left behind has ended with it.

        Records that make no sense count as lost, and the journal is set aside.
        """
        records, whole = self.journal.news()
        known = {} if whole else dict(self.known)
        refused = 0
        for record in records:
            try:
                known[record["id"]] = advance(known.get(record["id"]), record)
            except (KeyError, ValueError, TypeError, AttributeError):
                refused += 1
        self.known = known
        if refused:
            self.journal.lost_lines += refused
            self.journal.set_aside_for(_snapshot(self.known.values()))
        for containment in self.live():
            if containment.boot != self.boot:
                self.note(containment, Event.ENDED, durable=True, why="the host was restarted")

    def live(self) -> tuple[Containment, ...]:
        """Return what may still be held, as of the last `load`."""
        return tuple(containment for containment in self.known.values() if containment.live)

    def live_of(self, workload_id: int) -> Containment | None:
        """Return the live containment of that workload, None if it has none."""
        same = [one for one in self.live() if one.target.workload_id == workload_id]
        return same[0] if same else None

    def begin(self, intent: Containment) -> Containment:
        """Record what is about to be done; also a higher step of the same id.

        It outlives the agent from here on. The disk is waited for once the step is taken, in the
        record of that: a power cut in between gives every process back by itself. Only what cannot
        be given back is on the disk before.
        """
        if self.journal.crowded:
            self.compact()
        record = _intent(intent, time.monotonic_ns())
        self.journal.append(record, durable=intent.step is Step.KILL)
        return self._now(advance(None, record))

    def note(
        self, containment: Containment, event: Event, *, durable: bool = False, **facts: object
    ) -> Containment:
        """Record what happened to `containment`, now; returns what it has become."""
        record: dict[str, Any] = {
            **facts,
            "id": containment.id,
            "event": event,
            "mono_ns": time.monotonic_ns(),
        }
        self.journal.append(record, durable=durable)
        return self._now(advance(containment, record))

    def _now(self, containment: Containment) -> Containment:
        # A new mapping each time: another thread may be walking the old one.
        self.known = {**self.known, containment.id: containment}
        return containment

    def compact(self) -> None:
        """Forget what ended long ago, and the process lists of what has ended at all."""
        oldest_ns = time.time_ns() - KEPT_S * NANOSECONDS
        ended = [one.id for one in self.known.values() if not one.live]
        recent = [id_ for id_ in ended if self.known[id_].begun_unix_ns > oldest_ns]
        forgotten = set(ended).difference(recent[-KEPT_COUNT:])
        self.known = {
            id_: one if one.live else replace(one, processes=(), running=(), stopped_before=())
            for id_, one in self.known.items()
            if id_ not in forgotten
        }
        self.journal.compact(_snapshot(self.known.values()))


def _snapshot(containments: Iterable[Containment]) -> list[dict[str, Any]]:
    """Return records that fold to `containments`: an intent carries the whole state."""
    return [_intent(one, one.times.get(Event.INTENT, 0)) for one in containments]


def _intent(containment: Containment, mono_ns: int) -> dict[str, Any]:
    return {**containment.as_json(), "event": Event.INTENT, "mono_ns": mono_ns}
