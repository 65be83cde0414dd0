"""What each workload runs: its processes, models, libraries, devices and weaknesses, read now."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from agent.models.ledger import Ledger
from agent.models.manifest import default_path
from agent.store.errors import NoStoreError
from collectors.engines import ConfiguredWorkload, Rulebook
from collectors.engines.packages import Distribution, distributions, site_packages
from collectors.engines.posture import Server, Weakness, judge
from collectors.models.artifacts import Held, held, inside, is_weights
from collectors.models.digests import ChangedError, DigestCache
from collectors.processes import Process, ProcessTable

_DEVICE: Final = re.compile(r"^/dev/(nvidia|dri/|kfd|infiniband/|davinci|habanalabs|accel)")
_DRIVER: Final = re.compile(
    r"/(lib(?:cuda|nvidia-ml|cudart|nvinfer|nccl|hip|ze_loader)[\w-]*)\.so\.([\d.]+)$"
)

_HELD: Final = frozenset({"read", "map"})
"""Uses that say that a workload has a model; a write or a rename does not."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model file of a workload; `sha256` is "" where it was not read, size None where unseen."""

    path: str
    how: str  # mapped, open, named, or seen: by the ledger, earlier
    size_bytes: int | None
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """A process of a workload; `parent` is 0 where who started it is not of the workload."""

    pid: int
    parent: int
    role: str
    program: str


@dataclass(frozen=True, slots=True)
class Page:
    """Everything about one workload. `unread` counts what could not be looked at."""

    name: str
    engine: str
    version: str
    why: tuple[str, ...]
    roles: Mapping[str, tuple[int, ...]]
    ports: tuple[int, ...]
    models: tuple[Model, ...]
    libraries: tuple[Distribution, ...]
    drivers: tuple[tuple[str, str], ...]
    devices: tuple[str, ...]
    weaknesses: tuple[Weakness, ...]
    unread: int
    members: tuple[Member, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def recognised_here(
    rulebook: Rulebook, table: ProcessTable, configured: Sequence[ConfiguredWorkload] = ()
) -> list[dict[str, Any]]:
    """Return what the daemon would answer to `workloads`, without what `agent watch` named."""
    answer = []
    for found in rulebook.recognise(table, configured, {os.getpid()}):
        members = [table.processes[pid] for pid in sorted(found.pids)]
        roles: dict[str, list[int]] = {}
        for process in members:
            roles.setdefault(rulebook.role(found.engine, process, table), []).append(process.pid)
        answer.append({
            "name": found.name,
            "engine": found.engine,
            "why": [f"{evidence.why} ({evidence.points})" for evidence in found.why],
            "pids": sorted(found.pids),
            "ports": sorted({port for process in members for port in process.ports}),
            "roles": roles,
        })  # fmt: skip
    return answer


def census(
    answer: Sequence[Mapping[str, Any]],
    table: ProcessTable,
    rulebook: Rulebook,
    state: Path,
    cache: DigestCache | None = None,
) -> list[Page]:
    """Return a page for each workload.

    Args:
        answer: What the daemon said to `workloads`, or `recognised_here`.
        table: The processes now.
        rulebook: Engines with their posture and advisories.
        state: Where the ledger and the approved manifests lie.
        cache: Model files are digested when it is given.
    """
    return [_page(workload, table, rulebook, state, cache) for workload in answer]


def _page(
    workload: Mapping[str, Any],
    table: ProcessTable,
    rulebook: Rulebook,
    state: Path,
    cache: DigestCache | None,
) -> Page:
    name, engine = str(workload["name"]), str(workload["engine"])
    processes = tuple(p for pid in workload["pids"] if (p := table.get(pid)) is not None)
    found: dict[str, Held] = {}
    for process in processes:
        for one in held(process):
            found.setdefault(one.path, one)
    libraries = _libraries(processes)
    engines = tuple(
        profile
        for key in dict.fromkeys((engine, "generic"))
        if (profile := rulebook.engines.get(key)) is not None
    )
    advisories = tuple(one for profile in rulebook.engines.values() for one in profile.advisory)
    server = Server(engines, processes, advisories, tuple(found.values()), libraries)
    packages = engines[0].packages if engines else ()
    return Page(
        name=name,
        engine=engine,
        version=next((one.version for one in libraries if one.name in packages), ""),
        why=tuple(map(str, workload.get("why", ()))),
        roles={role: tuple(pids) for role, pids in workload.get("roles", {}).items()},
        ports=tuple(workload.get("ports", ())),
        models=_models(name, table, found, state, cache),
        libraries=libraries,
        drivers=tuple(sorted({
            (match[1], match[2])
            for process in processes
            for file in process.libraries
            if (match := _DRIVER.search(file.path))
        })),
        devices=tuple(sorted({
            file.target
            for process in processes
            for file in process.open_files
            if _DEVICE.match(file.target)
        })),
        weaknesses=(*judge(server), *_unapproved(found.values(), state)),
        unread=table.counts.refused + table.counts.failed,
        members=_members(workload.get("roles", {}), table),
    )  # fmt: skip


def _members(roles: Mapping[str, Sequence[int]], table: ProcessTable) -> tuple[Member, ...]:
    """Return who started whom, by pid; a shell between two of them is passed over."""
    of = {pid: role for role, pids in roles.items() for pid in pids}
    found = []
    for pid in sorted(of):
        if (process := table.get(pid)) is not None:
            above = (one.pid for one in table.ancestry(pid) if one.pid in of)
            found.append(Member(pid, next(above, 0), of[pid], process.exe_name or process.comm))
    return tuple(found)


def _libraries(processes: Sequence[Process]) -> tuple[Distribution, ...]:
    found: dict[tuple[str, str], Distribution] = {}
    for process in processes:
        for directory, tops in site_packages(file.path for file in process.mapped).items():
            there = inside(process, directory)
            for one in distributions(directory, tops, there, process.source.counts):
                known = found.get((one.directory, one.name))
                if known is None or one.mapped:
                    found[one.directory, one.name] = one
    return tuple(sorted(found.values(), key=lambda one: (one.name, one.directory)))


def _models(
    name: str,
    table: ProcessTable,
    found: Mapping[str, Held],
    state: Path,
    cache: DigestCache | None,
) -> tuple[Model, ...]:
    models = {}
    for path, one in found.items():
        process = table.processes[one.pid]
        models[path] = _model(path, one.how, inside(process, path), cache)
    for use in _seen(name, state):
        if use.access in _HELD and use.path not in models:
            models[use.path] = Model(use.path, "seen", use.size_bytes or None, use.sha256)
    return tuple(models[path] for path in sorted(models))


def _model(path: str, how: str, there: Path, cache: DigestCache | None) -> Model:
    try:
        size = there.stat().st_size
        return Model(path, how, size, cache.digest(there) if cache is not None else "")
    except (OSError, ChangedError):
        return Model(path, how, None)  # gone or moving: size and digest are unknown, not wrong


def _seen(name: str, state: Path) -> list[Any]:
    try:
        with Ledger.open_for_reading(state / "ledger.db") as ledger:
            return ledger.used_by(name)
    except NoStoreError:
        return []


def _unapproved(models: Any, state: Path) -> list[Weakness]:  # noqa: ANN401 (an iterable of Held)
    directories = sorted({str(Path(one.path).parent) for one in models if is_weights(one.path)})
    return [
        Weakness(
            "unapproved-weights",
            "notice",
            "a change of them is not noticed by their content",
            directory,
            f"agent models scan {directory} && agent models trust {directory}",
        )
        for directory in directories
        if not any(
            default_path(state, parent).exists()
            for parent in (Path(directory), *Path(directory).parents)
        )
    ]
