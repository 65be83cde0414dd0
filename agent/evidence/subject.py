"""What an id on the command line means: a containment, or a verdict, and its processes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.evidence.errors import AmbiguousSubjectError, UnknownSubjectError
from agent.response import workloads
from agent.response.containment import Containment, ProcessId, Target
from agent.response.processes import read_process
from agent.response.switch import ContainmentSwitch
from agent.response.tree import Tree
from agent.store import Store, UnknownVerdictError

AROUND_NS: Final = 600_000_000_000
"""Verdicts of the same workload so long before the subject, and all since, go along."""

_TICKS_NS: Final = 10_000_000  # USER_HZ is 100 on every architecture


@dataclass(frozen=True, slots=True)
class Subject:
    """What the bundle is about.

    Attributes:
        id: In full.
        workload: Its name.
        time_ns: Unix time of the verdict, or of the containment's beginning.
        verdict: None for a containment by hand.
        containment: None for a verdict that led to none.
        processes: Who belongs to the workload now, or did when it was held.
    """

    id: str
    workload: str
    time_ns: int
    verdict: dict[str, Any] | None
    containment: Containment | None
    processes: tuple[ProcessId, ...]


def find(
    identifier: str,
    store: Store | None,
    known: Sequence[Containment],
    run: Path,
    switch: ContainmentSwitch | None,
) -> Subject:
    """Return what `identifier`, or an id that begins with it, stands for.

    Args:
        identifier: Of a containment or verdict.
        store: None where nothing was recorded yet.
        known: Every containment that the journal knows.
        run: Where the list of watched workloads is.
        switch: The kernel's; None without one.

    Raises:
        UnknownSubjectError, AmbiguousSubjectError, AmbiguousVerdictError: It stands for no one.
    """
    fitting = [one for one in known if identifier and one.id.startswith(identifier)]
    if len(fitting) > 1:
        raise AmbiguousSubjectError(identifier)
    if fitting:
        one = fitting[0]
        processes = _processes(one.target, switch) | {*one.processes, *one.target.roots}
        return Subject(
            one.id, one.target.workload, one.begun_unix_ns,
            _verdict_of(store, one), one, tuple(sorted(processes)),
        )  # fmt: skip
    try:
        verdict = store.verdict(identifier) if store else None
    except UnknownVerdictError:
        verdict = None
    if verdict is None:
        raise UnknownSubjectError(identifier)
    return _of_verdict(verdict, known, run, switch)


def _of_verdict(
    verdict: dict[str, Any],
    known: Sequence[Containment],
    run: Path,
    switch: ContainmentSwitch | None,
) -> Subject:
    named = (verdict.get("response") or {}).get("containment")
    containment = next((one for one in known if one.id == named), None)
    target = workloads.read(run).get(verdict["workload"])
    processes = set() if target is None else _processes(target, switch)
    if containment is not None:
        processes |= {*containment.processes, *containment.target.roots}
    pids = {(verdict.get("process") or {}).get("pid", 0)}
    pids |= {novel.get("pid", 0) for novel in verdict.get("novel") or ()}
    processes |= {found for pid in pids if (found := _older(pid, verdict["time_ns"]))}
    return Subject(
        verdict["id"], verdict["workload"], verdict["time_ns"],
        verdict, containment, tuple(sorted(processes)),
    )  # fmt: skip


def _processes(target: Target, switch: ContainmentSwitch | None) -> set[ProcessId]:
    return {process.id for process in Tree(target, switch).processes().values()}


def _older(pid: int, time_ns: int) -> ProcessId | None:
    """Return who has this number, unless it began after `time_ns`: then it is somebody else."""
    found = read_process(pid) if pid > 1 else None
    if found is None or _boot_ns() + found.id.start_ticks * _TICKS_NS > time_ns:
        return None
    return found.id


def _boot_ns() -> int:
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        if line.startswith("btime "):
            return int(line.split()[1]) * 1_000_000_000
    return 0


def _verdict_of(store: Store | None, containment: Containment) -> dict[str, Any] | None:
    """Return the verdict that led to a containment."""
    if store is None:
        return None
    since_ns = containment.begun_unix_ns - AROUND_NS
    for verdict in reversed(store.verdicts(since_ns, containment.target.workload)):
        if (verdict.get("response") or {}).get("containment") == containment.id:
            return verdict
    return None
