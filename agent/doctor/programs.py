"""What the kernel does with our own programs: each is loaded, and what it answers is believed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from agent.doctor.findings import Finding, State


class Capability(Protocol):
    """One program tried by `probes.trial.probe_capabilities`."""

    @property
    def program(self) -> str:
        """Its name in the object."""

    @property
    def hook(self) -> str:
        """Its section: "tp_btf/sys_exit"."""

    @property
    def works(self) -> bool:
        """Whether the kernel took it."""

    @property
    def words(self) -> str:
        """What the kernel said."""


@dataclass(frozen=True, slots=True)
class Need:
    """A feature of the kernel, proved by the programs that cannot load without it.

    Attributes:
        name: As the operator reads it.
        proves: Which hooks prove it.
        without: How the agent is where it does not work.
        fix: What to do then.
    """

    name: str
    proves: Callable[[str], bool]
    without: State
    fix: str


def _begins(*prefixes: str) -> Callable[[str], bool]:
    return lambda hook: hook.startswith(prefixes)


NEEDS: Final = (
    Need("raw tracepoints", _begins("tp_btf/"), State.MISSING, "boot Linux 5.12 or later"),
    Need("ring buffer", _begins("tp_btf/sched_process_exec"), State.MISSING, "boot Linux 5.12"),
    Need("task storage", _begins("tp_btf/sys_exit"), State.MISSING, "boot Linux 5.12 or later"),
    Need(
        "iterators",
        _begins("iter/"),
        State.LIMITED,
        "restart servers after the agent: those that run already cannot be adopted here",
    ),
    Need(
        "cgroup programs",
        _begins("cgroup/"),
        State.LIMITED,
        "without them a contained workload can still connect: use freeze",
    ),
    Need(
        "socket storage",
        _begins("cgroup_skb/", "cgroup/sock_create"),
        State.LIMITED,
        "without it bytes are not told apart by who began the connection",
    ),
)


def findings(capabilities: Sequence[Capability]) -> list[Finding]:
    """Judge what loading each program showed."""
    return [_finding(need, [c for c in capabilities if need.proves(c.hook)]) for need in NEEDS]


def tier(capabilities: Sequence[Capability], lsm: str | None) -> Finding:
    """Judge how far the agent can go here.

    Args:
        capabilities: Of every program; those on LSM hooks decide.
        lsm: /sys/kernel/security/lsm, the order of security modules; None where unreadable.
    """
    tried = [c for c in capabilities if c.hook.startswith("lsm")]
    trace = (
        "trace: observation; containment by cgroup BPF, freeze and signals; "
        "who acts against it is stopped after the act"
    )
    if not tried:
        return Finding("tier", State.OK, f"{trace}; this build has no LSM programs")
    refused = [c for c in tried if not c.works]
    listed = lsm is not None and "bpf" in lsm.strip().split(",")
    if listed and not refused:
        return Finding("tier", State.OK, "guard: also denial before the act, by LSM")
    if refused:
        words = f"{trace}; {refused[0].program}: {refused[0].words}"
        return Finding("tier", State.LIMITED, words, "allow BPF trampolines (kernel lockdown)")
    order = f"{lsm.strip()},bpf" if lsm else "…,bpf"
    return Finding("tier", State.LIMITED, f"{trace}; bpf is no LSM here", f"boot with lsm={order}")


def try_all(lsm: str | None) -> list[Finding]:
    """Load every program of the shipped object by itself, attach none; `lsm` as for `tier`."""
    from probes import loader  # noqa: PLC0415 - ctypes and numpy, for this check alone
    from probes.errors import ProbeError  # noqa: PLC0415
    from probes.trial import probe_capabilities  # noqa: PLC0415

    if not loader.OBJECT.exists():
        words = f"{loader.OBJECT} is not there"
        return [Finding("probes", State.MISSING, words, "build it with `make`, or reinstall")]
    try:
        tried = probe_capabilities(loader.OBJECT)
        return [tier(tried, lsm), *findings(tried)]
    except ProbeError as error:
        fix = "install libbpf 1.0 or later (Debian: libbpf1), and run as root"
        return [Finding("probes", State.MISSING, str(error), fix)]


def _finding(need: Need, tried: Sequence[Capability]) -> Finding:
    refused = [c for c in tried if not c.works]
    if not tried:
        return Finding(need.name, need.without, "this build has no program for it", need.fix)
    if refused:
        first = refused[0]
        words = f"{len(refused)} of {len(tried)} programs refused; {first.program}: {first.words}"
        return Finding(need.name, need.without, words, need.fix)
    count = "1 program loads" if len(tried) == 1 else f"{len(tried)} programs load"
    return Finding(need.name, State.OK, count)
