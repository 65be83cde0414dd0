"""How a server is run: weaknesses that need no attack to be seen."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from collectors import procfs
from collectors.engines.packages import Distribution, affected
from collectors.engines.schema import Advisory, Engine
from collectors.models.artifacts import PICKLES, Held, inside
from collectors.processes import Process

_SHARED_MEMORY: Final = "/dev/shm/"  # noqa: S108 (recognised, nothing is put there)


@dataclass(frozen=True, slots=True)
class Weakness:
    """One finding: what, why it matters, where it was seen, and what to do.

    Attributes:
        severity: "notice", "warning" or "danger".
        seen: The fact itself: an address, an argument, a path, a version.
    """

    finding: str
    severity: str
    why: str
    seen: str
    fix: str
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Server:
    """One workload as it runs: what `judge` looks at."""

    engines: tuple[Engine, ...]  # its own, and "generic", whose posture counts for all
    processes: tuple[Process, ...]
    advisories: tuple[Advisory, ...] = ()  # of every engine: servers load each other's libraries
    models: tuple[Held, ...] = ()
    distributions: tuple[Distribution, ...] = ()


def judge(server: Server) -> list[Weakness]:
    """Return the weaknesses of one server, each once, the worst first."""
    found: dict[tuple[str, str], Weakness] = {}
    for process in server.processes:
        for weakness in _process(server, process):
            found.setdefault((weakness.finding, weakness.seen), weakness)
    for weakness in (*_models(server), *_versions(server)):
        found.setdefault((weakness.finding, weakness.seen), weakness)
    order = ("danger", "warning", "notice")
    return sorted(found.values(), key=lambda one: (order.index(one.severity), one.finding))


def _process(server: Server, process: Process) -> Iterator[Weakness]:
    arguments = " ".join(process.cmdline)
    for engine in server.engines:
        for rule in engine.posture:
            if rule.cmdline and (match := re.search(rule.cmdline, arguments)):
                seen = (match.groupdict().get("seen") or match[0]).strip()
                fix = rule.fix or f"start it without {seen}, unless you mean it"
                yield Weakness(rule.finding, "warning", rule.why, seen, fix, process.pid)
            yield from _open_to_all(rule.finding, rule.why, rule.wildcard_port, process)
        why = "it is meant for the server's own parts, which trust whoever connects"
        told = {port for rule in engine.posture for port in rule.wildcard_port}
        rest = tuple(port for port in engine.internal_ports if port not in told)
        yield from _open_to_all("wildcard-internal-port", why, rest, process)
    if process.uid == 0 and not process.kernel:
        why = "whoever gets into the server has the host, or the whole container"
        fix = "give it a user of its own: User= in the unit, --user for the container"
        yield Weakness("root", "warning", why, "runs as root", fix, process.pid)
    yield from _shared_memory(process)


def _open_to_all(
    finding: str, why: str, ports: Sequence[int], process: Process
) -> Iterator[Weakness]:
    for listener in process.listeners:
        if listener.wildcard and listener.port in ports:
            address = f"[{listener.address}]" if ":" in listener.address else listener.address
            fix = f"bind port {listener.port} to 127.0.0.1 or a private network, or firewall it"
            yield Weakness(finding, "danger", why, f"{address}:{listener.port}", fix, process.pid)


def _shared_memory(process: Process) -> Iterator[Weakness]:
    paths = {file.path for file in process.mapped if not file.deleted}
    paths |= {file.target for file in process.open_files}
    for path in sorted(path for path in paths if path.startswith(_SHARED_MEMORY)):
        found = _stat(process, path)
        if found is None or not found.st_mode & (stat.S_IROTH | stat.S_IWOTH):
            continue
        writable = bool(found.st_mode & stat.S_IWOTH)
        why = "every user of the host can " + ("change" if writable else "read") + " what it holds"
        fix = "start the server with umask 077, or in a container with its own /dev/shm"
        severity = "danger" if writable else "warning"
        yield Weakness("shared-memory", severity, why, path, fix, process.pid)


def _models(server: Server) -> Iterator[Weakness]:
    owners = {process.pid: process for process in server.processes}
    for held in server.models:
        path = PurePosixPath(held.path)
        if path.suffix.lower() in PICKLES:
            why = "its format carries code that runs when it is loaded"
            fix = "convert it to safetensors, and look into it: agent models scan"
            yield Weakness("pickle-weights", "warning", why, held.path, fix, held.pid)
        process = owners.get(held.pid)
        if process is None:
            continue
        directory = str(path.parent)
        found = _stat(process, directory)
        if found is None or _read_only(process, directory):
            continue
        if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
            why = "every user of the host can replace the model"
            fix = f"chmod o-w {directory}"
            yield Weakness("repository-writable", "danger", why, directory, fix, held.pid)
        elif may_write(process, found):
            why = "a server that was broken into can replace its own model, and keeps being it"
            fix = "let another user own it, or mount it read-only (ReadOnlyPaths= in the unit)"
            yield Weakness("repository-writable", "warning", why, directory, fix, held.pid)


def may_write(process: Process, found: os.stat_result) -> bool:
    """Return whether a process may write a file or directory, by its user and groups.

    Capabilities and access lists are not looked at, bar root's.
    """
    if process.uid is None:
        return False
    if process.uid == 0:
        return True
    if process.uid == found.st_uid:
        return bool(found.st_mode & stat.S_IWUSR)
    if found.st_gid in _groups(process):
        return bool(found.st_mode & stat.S_IWGRP)
    return bool(found.st_mode & stat.S_IWOTH)


def _groups(process: Process) -> frozenset[int]:
    path = f"{process.source.root}/{process.pid}/status"
    data = procfs.read(path, procfs.SMALL_LIMIT, process.source.counts) or b""
    lines = [
        line.split()[1:] for line in data.splitlines() if line.startswith((b"Gid:", b"Groups:"))
    ]
    return frozenset(int(group) for line in lines for group in line)


def _versions(server: Server) -> Iterator[Weakness]:
    own = {package for engine in server.engines for package in engine.packages}
    # What is installed and not loaded is no weakness of this server.
    loaded = [one for one in server.distributions if one.mapped or one.name in own]
    for advisory in server.advisories:
        for one in loaded:
            if one.name != advisory.package:
                continue
            if affected(one.version, advisory.since, advisory.fixed):
                seen = f"{one.name} {one.version}: {advisory.id}"
                fix = f"install {one.name} {advisory.fixed} or later"
                yield Weakness("known-vulnerable", "danger", advisory.what, seen, fix)


def _stat(process: Process, path: str) -> os.stat_result | None:
    try:
        return inside(process, path).stat()
    except OSError as error:
        process.source.counts.note(error)
        return None


def _read_only(process: Process, path: str) -> bool:
    try:
        return bool(os.statvfs(inside(process, path)).f_flag & os.ST_RDONLY)
    except OSError as error:
        process.source.counts.note(error)
        return False
