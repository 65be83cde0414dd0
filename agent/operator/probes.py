"""All operator probes of a host: which run, what they told, and why the others do not."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from agent.daemon.lineage import Lineage
from agent.log import log
from agent.operator.directory import Found, look
from agent.operator.runner import Worker
from collectors.sightings import Sighting

MOST_PROBES: Final = 8
"""Each has a worker of its own, of about 50 MB beside what all share."""

COMPILE_S: Final = 120.0
"""Two seconds on an idle host."""

SILENT_S: Final = 10.0
"""A worker says something each second."""

MOST_CRASHES: Final = 5
STEADY_S: Final = 600.0
"""After running this long, earlier crashes count no more."""

REPEAT_NS: Final = 1_000_000_000
"""What is not learned is told at most this often; a window's length by default."""

_COMM_CHARACTERS: Final = 15  # as the kernel keeps them
_DEPARTED: Final = 1024
_MOST_TOLD: Final = 4096

Members = Mapping[int, tuple[int, int]]


@dataclass(slots=True)
class Probe:
    """One probe and its state.

    Attributes:
        state: off, compiling, waiting (for what it attaches to), on, restarting.
        reason: Why it is not on.
        lost: Events that happened and were not told.
        unwatched: Events of processes that belong to no workload.
    """

    found: Found
    state: str = "off"
    reason: str = ""
    events: int = 0
    lost: int = 0
    unwatched: int = 0
    sums: Counter[str] = field(default_factory=Counter)
    attached: tuple[str, ...] = ()
    worker: Worker | None = None
    pids: list[int] = field(default_factory=list)
    crashes: int = 0
    since_s: float = 0.0
    heard_s: float = 0.0

    @property
    def failing(self) -> bool:
        """Whether it does not run, and its own declaration does not say so."""
        chosen = self.found.declaration is not None and not self.found.declaration.enabled
        return self.state in {"off", "restarting"} and not chosen

    def as_json(self) -> dict[str, Any]:
        """What status shows."""
        declared = self.found.declaration
        return {
            "name": self.found.name,
            "description": declared.description if declared else "",
            "state": self.state,
            "failing": self.failing,
            "reason": self.reason,
            "events": self.events,
            "lost": self.lost,
            "unwatched": self.unwatched,
            "sums": dict(self.sums),
            "attached": list(self.attached),
            "pid": self.worker.pid if self.worker else None,
        }


class OperatorProbes:
    """Runs what lies in the directory; lives in the daemon's loop.

    Args:
        directory: Of the probes.
        cache: For headers made of BTF.
        members: Reads who belongs to which workload, in which role.
        name_of: A workload's name by its number.
        lineage: Knows parents.
        knows: Whether a workload has learned what a sighting tells.
        route: Takes sightings on their way to the judges.
        post: Runs something in the loop.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - one argument per neighbour
        self,
        directory: Path,
        cache: Path,
        members: Callable[[], Members],
        name_of: Callable[[int], str | None],
        lineage: Lineage,
        knows: Callable[[Sighting], bool],
        route: Callable[[list[Sighting]], None],
        post: Callable[[Callable[[], None]], None],
    ) -> None:
        """Run nothing yet."""
        self._directory, self._cache = directory, cache
        self._read_members, self._name_of = members, name_of
        self._lineage, self._knows, self._route, self._post = lineage, knows, route, post
        self._told: OrderedDict[tuple[int, int, str], int] = OrderedDict()
        self._members: Members = {}
        self._departed: OrderedDict[int, tuple[int, int]] = OrderedDict()
        self.probes: dict[str, Probe] = {}

    def load(self) -> None:
        """Read the directory anew: what changed is started again, what is the same goes on."""
        found = {one.name: one for one in look(self._directory)}
        for name in [n for n, probe in self.probes.items() if found.get(n) != probe.found]:
            self._end(self.probes.pop(name))
        for name, one in found.items():
            probe = self.probes.setdefault(name, Probe(one))
            if probe.worker is None:
                self._begin(probe, fresh=True)

    def _begin(self, probe: Probe, *, fresh: bool = False) -> None:
        declared = probe.found.declaration
        running = sum(1 for other in self.probes.values() if other.worker)
        if declared is None:
            self._off(probe, probe.found.why)
        elif not declared.enabled:
            probe.state, probe.reason = "off", "enabled = false"
        elif running >= MOST_PROBES:
            self._off(probe, f"{MOST_PROBES} others run already")
        else:
            job = asdict(declared) | {
                "name": probe.found.name,
                "source": probe.found.source,
                "cache": str(self._cache),
                "pids": (pids := sorted(self._members)),
            }
            for one in job["attach"]:
                one["binary"] = str(one["binary"]) if one["binary"] else None
            probe.crashes = 0 if fresh else probe.crashes
            probe.state, probe.reason = "compiling", ""
            probe.since_s = probe.heard_s = time.monotonic()
            probe.pids = pids
            probe.worker = Worker(job, lambda message: self._hear(probe, message), self._post)

    def _hear(self, probe: Probe, message: list[Any]) -> None:
        kind, *rest = message
        probe.heard_s = time.monotonic()
        if kind == "attached":
            places, missing = rest
            if probe.state != "on" and not missing:
                log.info("probes.operator_on", probe=probe.found.name, at=places)
            probe.attached = tuple(places)
            probe.state = "waiting" if missing else "on"
            probe.reason = "; ".join(missing)
        elif kind == "events":
            self._take(probe, *rest)
        elif kind == "failed":
            self._off(probe, rest[0])

    def _take(self, probe: Probe, events: int, lost: int, rows: list[list[Any]]) -> None:
        probe.events += events
        probe.lost += lost
        if any(row[0] not in self._members for row in rows):
            self._members = self._read_members()
        sightings = []
        for pid, time_ns, item, count, sums in rows:
            probe.sums.update(sums)
            workload, role = self._members.get(pid) or self._departed.get(pid) or (0, 0)
            if not workload or not self._wants(probe, workload):
                probe.unwatched += count
                continue
            person = self._lineage.find(pid)
            sighting = Sighting(
                kind="probe",
                item=item,
                workload=workload,
                role=role,
                time_ns=time_ns,
                pid=pid,
                ppid=person.ppid,
                uid=person.uid,
                start_ns=0,
                cgroup=0,
                comm=Path(person.exe).name[:_COMM_CHARACTERS],
                marks=frozenset({_level(probe)}),
                count=count,
                fields=tuple(sums.items()),
            )
            if self._is_news(sighting):
                sightings.append(sighting)
        self._route(sightings)

    def _is_news(self, sighting: Sighting) -> bool:
        """Whether the judges are to hear of it: not learned, and not told them a moment ago."""
        if self._knows(sighting):
            return False
        key = (sighting.workload, sighting.role, sighting.item)
        told_ns = self._told.pop(key, None)
        news = told_ns is None or sighting.time_ns - told_ns > REPEAT_NS
        self._told[key] = told_ns if told_ns is not None and not news else sighting.time_ns
        while len(self._told) > _MOST_TOLD:
            self._told.popitem(last=False)
        return news

    def _wants(self, probe: Probe, workload: int) -> bool:
        declared = probe.found.declaration
        name = self._name_of(workload) or ""
        return declared is not None and any(fnmatchcase(name, p) for p in declared.workloads)

    def depart(self, sightings: Iterable[Sighting]) -> None:
        """Remember who ended: what they set off just before is still on its way."""
        for one in sightings:
            if one.kind == "exit":
                self._departed[one.pid] = (one.workload, one.role)
                while len(self._departed) > _DEPARTED:
                    self._departed.popitem(last=False)

    def tick(self, _now_ns: int) -> None:
        """Tell workers who is watched; end those that hang, start again those that crashed."""
        if not any(probe.state != "off" for probe in self.probes.values()):
            return
        self._members = self._read_members()
        now_s, pids = time.monotonic(), sorted(self._members)
        for probe in self.probes.values():
            if probe.worker is not None:
                if pids != probe.pids and probe.worker.send(pids):
                    probe.pids = pids
                probe.worker.flush()
                self._look_after(probe, probe.worker, now_s)
            elif probe.state == "restarting" and now_s >= probe.since_s:
                self._begin(probe)

    def _look_after(self, probe: Probe, worker: Worker, now_s: float) -> None:
        if (how := worker.ended()) is not None:
            self._crashed(probe, how, now_s)
        elif probe.state == "compiling":
            if now_s - probe.since_s > COMPILE_S:
                self._off(probe, f"it did not compile and attach within {COMPILE_S:.0f} s")
        elif now_s - probe.heard_s > SILENT_S:
            self._crashed(probe, f"its worker said nothing for {SILENT_S:.0f} s", now_s)
        elif now_s - probe.since_s > STEADY_S:
            probe.crashes = 0

    def _crashed(self, probe: Probe, how: str, now_s: float) -> None:
        self._end(probe)
        probe.crashes += 1
        if probe.crashes >= MOST_CRASHES:
            self._off(probe, f"{how}, {probe.crashes} times in a row")
            return
        probe.state, probe.reason = "restarting", how
        probe.since_s = now_s + 2.0 ** (probe.crashes - 1)
        log.warning("probes.operator_restarts", probe=probe.found.name, why=how)

    def _off(self, probe: Probe, reason: str) -> None:
        self._end(probe)
        probe.state, probe.reason = "off", reason
        log.warning("probes.operator_off", probe=probe.found.name, why=reason)

    @staticmethod
    def _end(probe: Probe) -> None:
        if probe.worker is not None:
            probe.worker.stop()
            probe.worker = None
        probe.attached = ()

    def failing(self) -> list[str]:
        """What is not well, a sentence each; switched off by its own declaration is well."""
        return [
            f"operator probe {name} is {probe.state}: {probe.reason}"
            for name, probe in self.probes.items()
            if probe.failing
        ]

    def close(self) -> None:
        """End every worker."""
        for probe in self.probes.values():
            self._end(probe)


def _level(probe: Probe) -> str:
    declared = probe.found.declaration
    return f"level-{declared.level if declared else 'low'}"
