"""What the kernel says of itself: text in, findings out."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agent.doctor.findings import Finding, State

OLDEST_KERNEL: Final = (5, 12)
"""Task storage for tracing programs, and BPF memory no longer bound to RLIMIT_MEMLOCK."""

CAPABILITIES: Final = {
    "CAP_DAC_READ_SEARCH": 2,
    "CAP_KILL": 5,
    "CAP_NET_ADMIN": 12,
    "CAP_SYS_PTRACE": 19,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
}
"""From include/uapi/linux/capability.h."""

_SYS_ADMIN: Final = 21
_IMPLIED_BY_SYS_ADMIN: Final = frozenset({"CAP_NET_ADMIN", "CAP_PERFMON", "CAP_BPF"})

_VERSION: Final = re.compile(r"(\d+)\.(\d+)")


def version(release: str, machine: str) -> Finding:
    """Judge what uname(2) says."""
    found = _VERSION.match(release)
    number = (int(found[1]), int(found[2])) if found else (0, 0)
    words = f"Linux {release} on {machine}"
    if machine != "x86_64":
        return Finding("kernel", State.MISSING, words, "the probes are built for x86-64 alone")
    if number < OLDEST_KERNEL:
        oldest = ".".join(map(str, OLDEST_KERNEL))
        return Finding("kernel", State.MISSING, words, f"boot Linux {oldest} or later")
    return Finding("kernel", State.OK, words)


def btf(path: Path) -> Finding:
    """Judge whether the kernel describes its types, which is how probes fit every kernel."""
    if path.exists():
        return Finding("BTF", State.OK, f"{path} has {path.stat().st_size // 1024} KiB of types")
    fix = "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y, as all current distributions' are"
    return Finding("BTF", State.MISSING, f"{path} is not there", fix)


def mounts(mountinfo: str) -> list[Finding]:
    """Judge /proc/self/mountinfo: where pins, tracepoint formats and cgroups are."""
    at = _mount_points(mountinfo)
    return [
        _mounted(at, "bpf", "bpffs", "mount -t bpf bpf /sys/fs/bpf", State.MISSING),
        _mounted(at, "cgroup2", "cgroup v2", "mount -t cgroup2 none /sys/fs/cgroup", State.MISSING),
        _mounted(
            at, "tracefs", "tracefs", "mount -t tracefs tracefs /sys/kernel/tracing", State.LIMITED
        ),
    ]


def capabilities(status: str) -> Finding:
    """Judge the CapEff line of /proc/self/status."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    effective = int(found[1], 16) if found else 0
    lacking = [name for name, bit in CAPABILITIES.items() if not effective >> bit & 1]
    if effective >> _SYS_ADMIN & 1:
        lacking = [name for name in lacking if name not in _IMPLIED_BY_SYS_ADMIN]
    if not lacking:
        return Finding("privileges", State.OK, "all that the agent needs")
    words = f"{', '.join(lacking)} not held"
    return Finding("privileges", State.MISSING, words, "run as root, or by the unit file")


def _mount_points(mountinfo: str) -> Mapping[str, str]:
    """Return the first mount point of each file system type."""
    found: dict[str, str] = {}
    for line in mountinfo.splitlines():
        place, _, source = line.partition(" - ")
        if source:
            found.setdefault(source.split()[0], place.split()[4])
    return found


def _mounted(at: Mapping[str, str], kind: str, name: str, fix: str, without: State) -> Finding:
    if kind in at:
        return Finding(name, State.OK, f"mounted at {at[kind]}")
    return Finding(name, without, "not mounted", fix)
