"""Which processes are model servers: configured by hand, or recognised by points.

A workload is its process tree, the session that its root began, and the cgroup it has to itself.
The topmost process that matches is its root, but never what merely starts servers (init, shells,
container runtimes).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from collectors.engines import match, naming, schema, scripts
from collectors.engines.configured import ConfiguredWorkload, Starts, within
from collectors.engines.match import Images
from collectors.engines.schema import Clue, Engine, Evidence
from collectors.processes import Process, ProcessTable

THRESHOLD = 50  # points; origin: one certain clue, or a mapped runtime and two circumstances
RECHECK_NS = 60_000_000_000  # a settled process is looked at again after this long
UNCHANGED_NS = 10 * RECHECK_NS  # if it is surely recognised, or surely nothing, and mapped no more

# They start servers and hold their cgroup, and are none themselves.
HOSTS = (
    "systemd", "init", "sshd*", "cron", "crond", "atd", "dockerd", "containerd*", "docker-proxy",
    "crio", "conmon*", "podman", "kubelet", "runc", "crun", "login", "agetty", "tmux*", "screen",
    "supervisord", "s6-*", "runsv*", "nsenter",
)  # fmt: skip
_STARTS = "configured: starts as its server did, and does not listen yet"
WRAPPERS = (
    "sh", "bash", "dash", "zsh", "ash", "busybox", "env", "sudo", "su", "runuser", "setpriv",
    "timeout", "nohup", "nice", "tini*", "dumb-init", "catatonit", "strace", "perf",
    "watch", "xargs",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recognised:
    """A workload found on this host. `key` says what its name was made from."""

    name: str
    engine: str
    why: tuple[Evidence, ...]
    root_pid: int
    pids: frozenset[int]
    key: str
    roots: tuple[int, ...] = ()  # several where replicas run
    presumed: frozenset[int] = frozenset()  # roots that start as this workload's did, so far

    @property
    def points(self) -> int:
        """Sum of the evidence."""
        return sum(evidence.points for evidence in self.why)


@dataclass(frozen=True, slots=True)
class _Judged:
    """What one process was found to be, and until when that is believed."""

    engine: str
    why: tuple[Evidence, ...]
    shape: tuple[object, ...]  # changes with an exec
    until_ns: int
    sure: bool  # it is one, or nothing about it speaks for one
    virtual_bytes: int
    scored_ns: int

    def holds(self, process: Process, shape: tuple[object, ...], now_ns: int) -> bool:
        """Whether a look would find the same: libraries come with address space."""
        if self.shape != shape:
            return False
        same = self.sure and self.virtual_bytes == process.virtual_bytes
        return now_ns < self.until_ns or (same and now_ns < self.scored_ns + UNCHANGED_NS)


@dataclass(slots=True)
class _Group:
    name: str
    engine: str
    key: str
    roots: list[Process] = field(default_factory=list)
    why: tuple[Evidence, ...] = ()
    presumed: frozenset[int] = frozenset()


@dataclass(slots=True)
class Rulebook:
    """Every engine known, and what was already found out about running processes."""

    engines: Mapping[str, Engine]
    images: Images = field(default_factory=Images)
    _judged: dict[tuple[int, int], _Judged] = field(default_factory=dict)
    _roots: dict[int, Process] = field(default_factory=dict)
    _starts: Starts = field(default_factory=Starts)

    @classmethod
    def load(cls, *extra: Path) -> Rulebook:
        """Read the rules that ship and those of `extra` directories.

        Raises:
            schema.RuleError: With every mistake in every file.
        """
        return cls(schema.load([Path(__file__).parent, *extra]))

    def hosts(self) -> tuple[str, ...]:
        """Return globs of the hosts that engines are known to call, as for usage statistics."""
        known = (one for engine in self.engines.values() for one in engine.lookalike)
        return tuple(item for one in known if one.kind == "peer" for item in one.item)

    def recognise(
        self,
        table: ProcessTable,
        configured: Sequence[ConfiguredWorkload] = (),
        never: Collection[int] = (),
    ) -> list[Recognised]:
        """Return the workloads on this host, configured ones first.

        Args:
            table: One snapshot; its time decides what is looked at again.
            configured: Named by hand; they win over what is recognised.
            never: Pids that are no workload, the agent's own for one.
        """
        self._judged = {p.identity: j for p in table if (j := self._judged.get(p.identity))}
        able = [process for process in table if _may_lead(process) and process.pid not in never]
        groups = [group for rule in configured if (group := self._by_hand(rule, able, table))]
        claimed = {root.pid for group in groups for root in group.roots}
        groups += self._by_points(able, table, claimed)
        self._roots = {root.pid: root for group in groups for root in group.roots}
        members = self._members(groups, table)
        return [
            Recognised(
                group.name,
                group.engine,
                group.why,
                group.roots[0].pid,
                frozenset(members[n]),
                group.key,
                tuple(root.pid for root in group.roots),
                group.presumed,
            )
            for n, group in enumerate(groups)
        ]

    def role(self, engine: str, process: Process, table: ProcessTable) -> str:
        """Return what a process does in its workload, after `recognise` saw this table.

        A role of the engine's file; else "main" for a root, "worker" for a copy of its root that
        executed nothing else, and "unknown-child" for anything else below a root.
        """
        profile = self.engines.get(engine)
        shared = self.engines.get("generic")
        rules = (profile.role if profile else ()) + (shared.role if shared else ())
        for rule in rules:
            if match.holds(rule.when, process, self.images):
                return rule.role
        if process.pid in self._roots:
            return "main"
        line = (process, *table.ancestry(process.pid))
        above = (pid for p in line for pid in (p.pid, p.session) if pid in self._roots)
        root = self._roots.get(next(above, 0))
        if root is None:
            return "main"
        copied = (root.exe, root.exe_id, root.cmdline) == (
            process.exe,
            process.exe_id,
            process.cmdline,
        )
        return "worker" if copied else "unknown-child"

    def _by_hand(
        self, rule: ConfiguredWorkload, able: Sequence[Process], table: ProcessTable
    ) -> _Group | None:
        found = [process for process in able if rule.meets(process, self.images)]
        if found:
            self._starts.note(rule.name, _topmost(found, table))
        met = {process.pid for process in found}
        again = [
            process
            for process in able
            if process.pid not in met and self._starts.again(rule, process, self.images)
        ]
        roots = _topmost([*found, *again], table)
        if not roots:
            return None
        presumed = frozenset(root.pid for root in roots) - met
        judged = [self._judge(p, table) for root in roots for p in table.tree(root.pid)]
        told = f"configured: {rule.told}"
        best = max(judged, key=lambda j: sum(e.points for e in j.why), default=None)
        why = tuple(
            Evidence(schema.POINTS_MAX, _STARTS if root.pid in presumed else told, root.pid)
            for root in roots
        )
        engine = best.engine if best and best.engine else "generic"
        return _Group(rule.name, engine, f"configured:{rule.name}", roots, why, presumed)

    def _by_points(
        self, able: Sequence[Process], table: ProcessTable, claimed: Collection[int]
    ) -> list[_Group]:
        found: dict[int, _Judged] = {}
        for process in able:
            judged = self._judge(process, table)
            if judged.engine and not _below(process, claimed, table):
                found[process.pid] = judged
        groups: dict[str, _Group] = {}
        for top in _topmost([table.processes[pid] for pid in found], table):
            judged = found[top.pid]
            engine = self.engines[judged.engine]
            root = self._adopted(engine, top, table, claimed)
            name, key = naming.name(engine, root, self.images)
            group = groups.setdefault(key, _Group(name, engine.name, key))
            if root not in group.roots:
                group.roots.append(root)
                group.why = group.why or judged.why
        return list(groups.values())

    def _adopted(
        self, engine: Engine, top: Process, table: ProcessTable, claimed: Collection[int]
    ) -> Process:
        parent = table.get(top.ppid)
        if parent is None or not _may_lead(parent) or parent.pid in claimed:
            return top
        return parent if any(fnmatchcase(parent.exe_name, g) for g in engine.adopts_parent) else top

    def _judge(self, process: Process, table: ProcessTable) -> _Judged:
        """Return what a process is by points; engine "" below the threshold.

        A young process is judged again each time its age doubles: libraries come with imports. One
        that mapped nothing since need not be, unless it is in doubt: it may yet listen.
        """
        shape = (process.comm, process.exe, process.cmdline)
        known = self._judged.get(process.identity)
        if known is not None and known.holds(process, shape, table.time_ns):
            return known
        age_ns = max(0, table.time_ns - process.start_time_ns)
        until_ns = table.time_ns + min(age_ns, RECHECK_NS)
        best, spoke = (("", ()), False) if process.kernel else self._score(process)
        sure = bool(best[0]) or not spoke
        judged = self._judged[process.identity] = _Judged(
            *best, shape, until_ns, sure, process.virtual_bytes, table.time_ns
        )
        return judged

    def _score(self, process: Process) -> tuple[tuple[str, tuple[Evidence, ...]], bool]:
        """Return engine and evidence, and whether the process itself spoke for any."""
        shared: list[Evidence] = []
        own: dict[str, list[Evidence]] = {}
        itself: set[str] = set()
        # Circumstances last, and only where the process itself spoke: sockets are dear to look up.
        for circumstance in (False, True):
            for engine, clue in self._clues(circumstance=circumstance):
                if match.holds(clue.when, process, self.images):
                    place = shared if clue.shared else own.setdefault(engine.name, [])
                    place.append(Evidence(clue.points, clue.why, process.pid))
                    if not circumstance:
                        itself.add(engine.name)
            if not itself:
                return ("", ()), False
        best: tuple[str, tuple[Evidence, ...]] = ("", ())
        most = THRESHOLD - 1
        # "generic" comes last: with equal points the engine's own name says more.
        for name in sorted(own.keys() & itself, key=lambda name: (name == "generic", name)):
            why = (*own[name], *shared)
            points = sum(evidence.points for evidence in why)
            if points > most:
                best, most = (name, why), points
        return best, True

    def _clues(self, *, circumstance: bool) -> Iterator[tuple[Engine, Clue]]:
        return (
            (engine, clue)
            for engine in self.engines.values()
            for clue in engine.clue
            if clue.circumstance is circumstance
        )

    def _members(self, groups: Sequence[_Group], table: ProcessTable) -> list[set[int]]:
        owner = {root.pid: n for n, group in enumerate(groups) for root in group.roots}
        members: list[set[int]] = [set() for _ in groups]
        rest: list[Process] = []
        nearest = _nearest(owner, table)
        for process in table:
            n = nearest[process.pid]
            if n is None:
                rest.append(process)
            else:
                members[n].add(process.pid)
        for cgroup, n in _owned_cgroups(groups, table).items():
            members[n] |= {p.pid for p in rest if not p.kernel and within(p.cgroup, cgroup)}
        return members


def _may_lead(process: Process) -> bool:
    """Whether a process can be a workload's root at all."""
    if process.kernel or process.pid == 1:
        return False
    names = (process.exe_name, scripts.program(process)[0].rpartition("/")[2])
    return not any(_named_among(name, HOSTS + WRAPPERS) for name in names)


@lru_cache(maxsize=4096)  # a host runs a few hundred programs, asked for at every look
def _named_among(name: str, globs: tuple[str, ...]) -> bool:
    return bool(name) and any(fnmatchcase(name, glob) for glob in globs)


def _nearest(owner: Mapping[int, int], table: ProcessTable) -> dict[int, int | None]:
    """Return for each process the group that it or its nearest parent leads; None without one.

    Whoever left its parents, by a double fork, is below who began its session: `session` says why.
    """
    found: dict[int, int | None] = dict(owner)
    for process in table:
        line: list[Process] = []
        above: Process | None = process
        while above is not None and above.pid not in found:
            found[above.pid] = None  # parents read late may form a circle: it ends here
            line.append(above)
            above = table.get(above.ppid)
        n = None if above is None else found[above.pid]
        for below in reversed(line):
            n = found[below.pid] = owner.get(below.session) if n is None else n
    return found


def _topmost(found: Sequence[Process], table: ProcessTable) -> list[Process]:
    pids = {process.pid for process in found}
    return [process for process in found if not _above(process, pids, table)]


def _above(process: Process, pids: Collection[int], table: ProcessTable) -> bool:
    return any(parent.pid in pids for parent in table.ancestry(process.pid))


def _below(process: Process, pids: Collection[int], table: ProcessTable) -> bool:
    return process.pid in pids or _above(process, pids, table)


def _owned_cgroups(groups: Sequence[_Group], table: ProcessTable) -> dict[str, int]:
    """Return the cgroups that one workload has to itself: a service's or a container's."""
    owned: dict[str, int] = {}
    shared: set[str] = set()
    for n, group in enumerate(groups):
        for root in group.roots:
            private = naming.is_service(root) or root.container
            if root.cgroup in {"", "/"} or not private:
                continue
            if owned.setdefault(root.cgroup, n) != n:
                shared.add(root.cgroup)
    for process in table:
        if owned and _named_among(process.exe_name, HOSTS):
            shared |= {cgroup for cgroup in owned if within(process.cgroup, cgroup)}
    return {cgroup: n for cgroup, n in owned.items() if cgroup not in shared}
