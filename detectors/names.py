"""Names that processes take to pass for others: the kernel's own threads, the system's daemons."""

from __future__ import annotations

import re
from typing import Final

KERNEL_NAME: Final = "kernel-name"
DAEMON_NAME: Final = "daemon-name"

_BRACKETS: Final = re.compile(r"^\[[a-z][\w/:.-]+\]$")
"""As ps(1) shows a process that has no arguments: mostly a thread of the kernel."""

_KERNEL_THREAD: Final = re.compile(
    r"^(?:kworker/|ksoftirqd/|migration/|cpuhp/|idle_inject/|irq/\d|jbd2/|scsi_(?:eh|tmf)_\d)"
    r"|^rcu_(?:gp|par_gp|sched|preempt|bh|tasks\w*|exp_\w+)$|^rcu[ob][gps]/\d"
    r"|^(?:kthreadd|kdevtmpfs|kauditd|khungtaskd|oom_reaper|kblockd|kintegrityd|khugepaged"
    r"|kthrotld|ksmd|kswapd\d+|kcompactd\d+|watchdogd|mm_percpu_wq|hwrng|md\d+_raid\d+)$"
)

_DAEMONS: Final = frozenset(
    [
        "init",
        "systemd",
        "systemd-journald",
        "systemd-udevd",
        "systemd-logind",
        "systemd-resolved",
        "systemd-networkd",
        "systemd-timesyncd",
        "sshd",
        "cron",
        "crond",
        "anacron",
        "atd",
        "rsyslogd",
        "syslogd",
        "auditd",
        "dbus-daemon",
        "agetty",
        "login",
        "polkitd",
        "udevd",
        "NetworkManager",
        "chronyd",
        "ntpd",
        "containerd",
        "containerd-shim",
        "dockerd",
        "kubelet",
        "crio",
    ]
)
_COMM_CHARACTERS: Final = 15
"""The kernel cuts a thread's name there."""


def disguise(name: str, exe: str) -> frozenset[str]:
    """Return as what a process of this name passes itself off.

    Args:
        name: Of a thread, or a program's first argument.
        exe: Its executable; empty where unknown, and then no daemon's name is held against it.

    Returns:
        Marks: `kernel-name`, `daemon-name`, or nothing.
    """
    if _BRACKETS.search(name) or _KERNEL_THREAD.search(name.strip("[]")):
        return frozenset({KERNEL_NAME})
    program = exe.removesuffix(" (deleted)").rpartition("/")[2]
    claimed = {daemon for daemon in _DAEMONS if daemon[:_COMM_CHARACTERS] == name}
    if program and claimed and program not in claimed:
        return frozenset({DAEMON_NAME})
    return frozenset()
