"""From an id to a sealed bundle that the host's log knows."""

import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from agent import VERSION
from agent.evidence.bounds import Bounds
from agent.evidence.bundle import Bundle, Sealed
from agent.evidence.gather import gather
from agent.evidence.pieces import Piece
from agent.evidence.secrets import mask_verdict
from agent.evidence.subject import AROUND_NS, Subject
from agent.response.containment import ProcessId
from agent.response.processes import executable, read_process
from agent.store import Store

DIRECTORY: Final = "evidence"
_AROUND_MOST: Final = 500
_DEPTH_MOST: Final = 64


@dataclass(frozen=True, slots=True)
class Collected:
    """What was collected.

    Attributes:
        subject: Id of the containment or verdict.
        sealed: The bundle.
        logged: Whether the log has it on disk; if not, it waits in memory, as on a full disk.
    """

    subject: str
    sealed: Sealed
    logged: bool

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        plain = asdict(self.sealed) | {"bundle": str(self.sealed.path)}
        del plain["path"]
        return {"id": self.subject, "logged": self.logged} | plain


def collect(subject: Subject, store: Store, state: Path, bounds: Bounds | None = None) -> Collected:
    """Write everything about `subject` to a bundle below `state`, then its digest to the log.

    Takes at most the bounds' time, which is a minute: never call it in a loop that others wait
    for. Several threads and processes may each collect.

    Raises:
        EvidenceError: It cannot be written.
    """
    bounds = bounds or Bounds()
    begun_ns, head = time.time_ns(), store.head()
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(begun_ns / 1e9))
    name = f"{subject.id}-{stamp}-{begun_ns % 1_000_000:06d}"
    with Bundle(state / DIRECTORY, name, bounds) as bundle:
        # What dies soonest first: the rest is on this host's disk anyway.
        for piece in gather(subject.processes, bounds):
            bundle.add(piece)
        for piece in _recorded(subject, store):
            bundle.add(piece)
        sealed = bundle.seal(_facts(subject, bounds, begun_ns, head))
    store.append_event("evidence.collected", time.time_ns(), _entry(subject, sealed))
    return Collected(subject.id, sealed, logged=not store.waiting)


def _recorded(subject: Subject, store: Store) -> Iterator[Piece]:
    if subject.verdict is not None:
        yield Piece.json("verdict.json", mask_verdict(subject.verdict))
    if subject.containment is not None:
        yield Piece.json("containment.json", subject.containment.as_json())
    found = store.verdicts(subject.time_ns - AROUND_NS, subject.workload, limit=_AROUND_MOST)
    yield Piece.json(
        "around.json",
        [mask_verdict(verdict) for verdict in found],
        f"the newest {_AROUND_MOST}" if len(found) == _AROUND_MOST else "",
    )
    yield Piece.json("tree.json", _tree(subject.processes))


def _tree(processes: tuple[ProcessId, ...]) -> list[dict[str, Any]]:
    """Return who is whose child: the workload's processes, and all above them.

    Without command lines, which lie in memory that a process may keep from being read.
    """
    own, waiting = set(processes), [process.pid for process in processes]
    rows: dict[int, dict[str, Any]] = {}
    while waiting and len(rows) < len(own) + _DEPTH_MOST:
        pid = waiting.pop()
        found = read_process(pid) if pid and pid not in rows else None
        if found is None:
            continue
        rows[pid] = {
            "pid": pid,
            "parent": found.parent,
            "start_ticks": found.id.start_ticks,
            "state": found.state,
            "exe": executable(pid),
            "of_the_workload": found.id in own,
        }
        waiting.append(found.parent)
    return [rows[pid] for pid in sorted(rows)]


def _facts(subject: Subject, bounds: Bounds, begun_ns: int, head: str) -> dict[str, Any]:
    return {
        "subject": subject.id,
        "workload": subject.workload,
        "host": os.uname().nodename,
        "kernel": os.uname().release,
        "agent": VERSION,
        "begun_ns": begun_ns,
        "ended_ns": time.time_ns(),
        "log_head": head,  # what the log's newest entry was: the bundle is not older
        "processes": [str(process) for process in subject.processes],
        "bounds": bounds.as_json(),
    }


def _entry(subject: Subject, sealed: Sealed) -> dict[str, Any]:
    return {
        "id": subject.id,
        "workload": subject.workload,
        "bundle": sealed.path.name,
        "bytes": sealed.bytes,
        "sha256": sealed.sha256,
        "manifest_sha256": sealed.manifest_sha256,
    }
