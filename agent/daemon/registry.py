"""Which processes are watched: recognised or named, numbered, adopted with their threads."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agent.config.schema import Settings
from agent.daemon.familiar import Familiar
from agent.daemon.membership import (
    FIXED_ROLES,
    MAIN,
    UNKNOWN_CHILD,
    WORKER,
    Members,
    Membership,
    lives,
)
from agent.errors import UnknownError
from agent.log import log
from agent.response.containment import ProcessId, Target
from agent.response.workloads import TooManyWorkloadsError, assign
from agent.response.workloads import write as write_targets
from collectors.engines.configured import ConfiguredWorkload
from collectors.engines.rulebook import Recognised, Rulebook
from collectors.processes import ProcessTable

_ROLES_FILE: Final = "roles.json"
_WATCHES_FILE: Final = "watches.json"


@dataclass(slots=True)
class Found:
    """One watched workload, as last seen.

    Attributes:
        id: Its number in the kernel's maps.
        why: Evidence, in words.
        started_ns: CLOCK_BOOTTIME start of its newest root.
        restarted: Whether the latest look found a newer root than the one before.
        configured: Whether an operator's rule says what belongs to it.
        presumed: Roots that do not meet that rule yet.
        silent: Whether callers stopped coming since the latest look: its listener may be gone.
    """

    name: str
    engine: str
    id: int
    why: tuple[str, ...] = ()
    roots: tuple[int, ...] = ()
    pids: frozenset[int] = frozenset()
    ports: frozenset[int] = frozenset()
    started_ns: int = 0
    restarted: bool = False
    configured: bool = False
    presumed: frozenset[int] = frozenset()
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Watch:
    """What `agent watch` asked for: one of pid, unit, cgroup."""

    name: str
    match: Mapping[str, str | int]


@dataclass(slots=True)
class Registry:
    """Keeps the kernel's membership in step with what runs.

    A number once given stays with its name as long as the kernel's maps live.

    Attributes:
        unnumbered: Times a workload could not be watched for want of a number.
        wiped: Living members that somebody else took out of the kernel's list.
        familiar: Peers that say little.
    """

    membership: Membership
    settings: Settings
    rulebook: Rulebook
    workloads: dict[str, Found] = field(default_factory=dict)
    watches: dict[str, Watch] = field(default_factory=dict)
    _ids: dict[str, int] = field(default_factory=dict)
    unnumbered: int = 0
    wiped: int = 0
    _listed: Members = field(default_factory=dict)
    _reserved: set[str] = field(default_factory=set)
    _named: set[int] = field(default_factory=set)
    _told: str = ""
    familiar: Familiar = field(init=False)
    _limit: int = field(init=False)
    _configured: list[ConfiguredWorkload] = field(init=False)

    def __post_init__(self) -> None:
        """Go on with the numbers of a daemon that ran before on the same maps."""
        sensor = self.membership.sensor
        self._limit = sensor.schema.limit("MAX_WORKLOADS")
        self.familiar = Familiar(self.rulebook.hosts())
        if not sensor.fresh:
            kept = _read_json(self.settings.paths.run / _ROLES_FILE)
            self._ids |= kept.get("workloads", {})
            self.membership.roles |= kept.get("roles", {}) | FIXED_ROLES
        for name, rule in _read_json(self.settings.paths.run / _WATCHES_FILE).items():
            self.watches[name] = Watch(name, rule)
        self.reconfigure(self.settings)

    @property
    def highest(self) -> int:
        """The highest number in use; 0 without any."""
        return max(self._ids.values(), default=0)

    def name_of(self, number: int) -> str | None:
        """The workload with this number; None if no such one is watched."""
        return next((found.name for found in self.workloads.values() if found.id == number), None)

    def names(self) -> dict[int, str]:
        """Workload names by number, also of those that do not run now."""
        return {number: name for name, number in self._ids.items()}

    def refresh(self, table: ProcessTable, never: Iterable[int]) -> bool:
        """Recognise, number and adopt. True if membership changed."""
        members = self.membership.read()
        changed = bool(self.membership.drop_dead(members)) | self._put_back(members)
        self._named &= members.keys()
        recognised = self.rulebook.recognise(table, self._rules(), tuple(never))
        for each in [*recognised, *self._by_pid(table)]:
            try:
                found = self._found(each, table)
            except TooManyWorkloadsError as error:
                log.once("workload.no_number", workload=each.name, why=error)
                self.unnumbered += 1
                continue
            changed |= self._enlist(found, each, members, table)
        if changed:
            self.membership.adopt()
            members = self.membership.read()
        self._count_alive(table, members)
        self._tell(table)
        return changed

    def _put_back(self, members: Members) -> bool:
        """List again who vanished from the list and lives: the kernel removes only who exits."""
        mine = {pid for found in self.workloads.values() for pid in found.pids}
        gone = {pid: self._listed[pid] for pid in mine - members.keys() if pid in self._listed}
        wiped = {pid: was for pid, was in gone.items() if lives(pid)}
        for pid, (number, role) in wiped.items():
            self.membership.put(pid, number, self.membership.role_of(role))
        members |= wiped
        self.wiped += len(wiped)
        return bool(wiped)

    def watch(self, watch: Watch) -> None:
        """Remember a request of `agent watch`; the next `refresh` acts on it."""
        self.watches[watch.name] = watch
        self._keep_watches()

    def unwatch(self, name: str) -> Found:
        """Forget a workload and let its processes go.

        Raises:
            UnknownError: Nothing of that name is watched by hand.
        """
        if name not in self.watches:
            raise UnknownError("workload watched by hand", name)
        del self.watches[name]
        self._keep_watches()
        found = self.workloads.pop(name, Found(name, "", self._ids.get(name, 0)))
        self.membership.let_go(found.id)
        return found

    def reserve(self, numbers: Mapping[str, int]) -> None:
        """Keep numbers for names whose containment is live: they must not move to others."""
        self._ids |= numbers
        self._reserved |= set(numbers)

    def borrow(self, name: str, pid: int) -> int:
        """Watch one process for the agent's own purpose; nothing judges it."""
        number = assign(name, self._ids, self._limit)
        self._ids[name] = number
        self.membership.put(pid, number, MAIN)
        self.membership.adopt()
        return number

    def give_back(self, name: str, number: int) -> None:
        """End what `borrow` began; processes that still live are let go."""
        del self._ids[name]
        self.membership.let_go(number)

    def reconfigure(self, settings: Settings) -> None:
        """Recognise by another configuration from the next scan on."""
        self.settings = settings
        self._configured = [
            ConfiguredWorkload(rule.name, _given(rule.match)) for rule in settings.workload
        ]

    def _rules(self) -> list[ConfiguredWorkload]:
        asked = [w for w in self.watches.values() if "pid" not in w.match]
        return self._configured + [ConfiguredWorkload(w.name, w.match) for w in asked]

    def _by_pid(self, table: ProcessTable) -> list[Recognised]:
        found = []
        for watch in self.watches.values():
            pid = int(watch.match.get("pid", 0))
            if table.get(pid) is not None:
                pids = frozenset(p.pid for p in (*table.tree(pid), *table.session(pid)))
                key = f"watch:{watch.name}"
                found.append(Recognised(watch.name, "generic", (), pid, pids, key, (pid,)))
        return found

    def _found(self, each: Recognised, table: ProcessTable) -> Found:
        if each.name not in self._ids and len(self._ids) >= self._limit - 1:
            self._forget_gone()
        number = assign(each.name, self._ids, self._limit)
        self._ids[each.name] = number
        found = self.workloads.setdefault(each.name, Found(each.name, each.engine, number))
        found.engine = each.engine
        found.why = tuple(f"{e.why} (+{e.points})" for e in each.why) or ("named by hand",)
        found.roots = each.roots or (each.root_pid,)
        found.configured, found.presumed = each.key.startswith("configured:"), each.presumed
        starts = [p.start_time_ns for pid in found.roots if (p := table.get(pid)) is not None]
        started_ns = max(starts, default=0)
        found.restarted = bool(found.started_ns) and started_ns > found.started_ns
        found.started_ns = started_ns
        return found

    def _forget_gone(self) -> None:
        """Free the numbers of workloads that do not run; what was learned of them stays on disk."""
        for name in [n for n in self._ids if n not in self.workloads or not self.workloads[n].pids]:
            if name not in self._reserved:
                del self._ids[name]
                self.workloads.pop(name, None)

    def _enlist(
        self,
        found: Found,
        each: Recognised,
        members: Members,
        table: ProcessTable,
    ) -> bool:
        """List what the kernel does not list yet, and name what a child turned into."""
        changed = False
        for pid in each.pids:
            process = table.get(pid)
            number, role = members.get(pid, (0, 0))
            # Whose child it was, it stays: arguments that match another rule move nobody out.
            # Only an operator's `agent watch` does, and a rule that meets a whole server late.
            stays = found.name not in self.watches and not self._gives_up(number, each)
            listed = number == found.id or (number and stays)
            # A new program below a member is named once, as soon as its arguments can be read.
            # A copy that outlived its original is the server itself: one that became a daemon.
            was = self.membership.role_of(role)
            open_to = {UNKNOWN_CHILD: pid not in self._named, WORKER: pid in found.roots}
            if process is None or (listed and not open_to.get(was)):
                continue
            name = self.rulebook.role(found.engine, process, table)
            self._named.add(pid)
            kept = {UNKNOWN_CHILD, WORKER} if was == WORKER else {UNKNOWN_CHILD, MAIN}
            if listed and (name in kept or number != found.id):
                continue
            self.membership.put(pid, found.id, name)
            changed = True
        return changed

    def _gives_up(self, number: int, each: Recognised) -> bool:
        """Whether a workload's own roots are, by now, what an operator configured as another.

        A rule that names a port is met once a server listens; until then it is nobody's, what its
        engine's file calls it, or what started alike.
        """
        owner = next((one for one in self.workloads.values() if one.id == number), None)
        if owner is None or not each.key.startswith("configured:"):
            return False
        taken = set(owner.roots) & set(each.roots)
        return bool(taken) and (not owner.configured or taken <= owner.presumed)

    def _count_alive(self, table: ProcessTable, members: Members) -> None:
        self._listed = members
        for found in self.workloads.values():
            mine = (pid for pid, (number, _) in members.items() if number == found.id)
            pids = frozenset(pid for pid in mine if table.get(pid) is not None)
            if pids != found.pids or not found.ports or found.silent:
                found.pids, found.ports, found.silent = pids, _ports(table, pids), False

    def _tell(self, table: ProcessTable) -> None:
        """Write what a command needs when no daemon runs; only when it changed."""
        targets = [
            Target(
                found.name,
                found.id,
                tuple(
                    ProcessId(pid, process.start_ticks)
                    for pid in found.roots
                    if (process := table.get(pid)) is not None
                ),
            )
            for found in self.workloads.values()
        ]
        plain = json.dumps({"workloads": self._ids, "roles": self.membership.roles})
        told = f"{targets}{plain}"
        if told == self._told:
            return
        write_targets(self.settings.paths.run, targets)
        _write_json(self.settings.paths.run / _ROLES_FILE, plain)
        self._told = told

    def _keep_watches(self) -> None:
        plain = {watch.name: dict(watch.match) for watch in self.watches.values()}
        _write_json(self.settings.paths.run / _WATCHES_FILE, json.dumps(plain))


def _ports(table: ProcessTable, pids: Iterable[int]) -> frozenset[int]:
    processes = (table.get(pid) for pid in pids)
    return frozenset(port for process in processes if process for port in process.ports)


def _given(match: Any) -> dict[str, str | int]:  # noqa: ANN401 - the settings' Match
    names = ("exe", "cmdline", "unit", "cgroup", "image", "port", "library")
    return {name: value for name in names if (value := getattr(match, name)) is not None}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # this boot's first daemon, or one killed at its first write: begin anew
    return plain


def _write_json(path: Path, plain: str) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(plain, "utf-8")
    fresh.replace(path)
