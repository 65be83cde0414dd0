"""What response never touches, whatever a verdict or an operator says."""

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from agent.errors import RefusedError
from agent.response.containment import ProcessId, Target
from agent.response.processes import Process, cgroup, executable, read_process

PROTECTED_EXECUTABLES: Final = frozenset(
    [
        # The way in for whoever has to repair what we did.
        "sshd",
        "sshd-session",
        "sshd-auth",
        "agetty",
        "login",
        # Whoever stops these stops every container of the host.
        "containerd",
        "containerd-shim",
        "containerd-shim-runc-v1",
        "containerd-shim-runc-v2",
        "dockerd",
        "docker-proxy",
        "runc",
        "crun",
        "crio",
        "conmon",
        "podman",
        "kubelet",
        # The host itself.
        "systemd",
        "init",
        "systemd-journald",
        "systemd-udevd",
        "systemd-logind",
        "systemd-networkd",
        "systemd-resolved",
        "systemd-executor",
        "dbus-daemon",
        "dbus-broker",
        "dbus-broker-launch",
        "udevd",
    ]
)
"""Names in a system directory; a copy elsewhere is not what it is called."""

SYSTEM_DIRECTORIES: Final = (
    "/bin/",
    "/sbin/",
    "/lib/",
    "/usr/bin/",
    "/usr/sbin/",
    "/usr/lib/",
    "/usr/libexec/",
    "/usr/local/",
)

PROTECTED_UNITS: Final = frozenset(
    [
        "inferward.service",
        "ssh.service",
        "sshd.service",
        "containerd.service",
        "docker.service",
        "crio.service",
        "kubelet.service",
        "dbus.service",
        "dbus-broker.service",
        "init.scope",
        "systemd-journald.service",
        "systemd-udevd.service",
        "systemd-logind.service",
    ]
)


class ProtectedProcessError(RefusedError):
    """Refused: {0} has process {1} in it, which is {2}. Correct the rule that matched it."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Refuses a workload that has a process in it which the host cannot do without.

    A rule that matches too much must not lock the operator out. But a name
    must not be a licence either: an intruder who runs /usr/sbin/sshd *from a
    watched server* is contained with it. So names and units protect only what
    the workload did not start itself: its roots, and members which are
    neither their descendants nor younger than them in the same cgroup.
    Pid 1, kernel threads, the agent and its ancestors are protected in any case.

    Attributes:
        agents: Pids of the agent: this process, and the daemon's where that is another.
    """

    agents: frozenset[int] = frozenset({os.getpid()})

    def check(self, target: Target, processes: Mapping[int, Process]) -> None:
        """Raise ProtectedProcessError if one of `processes` must not be touched."""
        own = self.own()
        for process in processes.values():
            reason = self.reason(target, process, processes, own)
            if reason:
                raise ProtectedProcessError(target.workload, process.id.pid, reason)

    def reason(
        self,
        target: Target,
        process: Process,
        processes: Mapping[int, Process],
        own: Collection[int] | None = None,
    ) -> str:
        """Return what `process` is that protects it, "" for nothing.

        Args:
            target: The workload.
            process: One of it.
            processes: It, its parents, and what else was found of the workload.
            own: What `own` said a moment ago, for whoever asks of many.
        """
        pid = process.id.pid
        if pid <= 1:
            return "the host's first process"
        if process.kernel:
            return "a kernel thread"
        if pid in (self.own() if own is None else own):
            return "the agent itself or one of its parents"
        path = PurePath(executable(pid).removesuffix(" (deleted)"))
        named = path.name in PROTECTED_EXECUTABLES and str(path).startswith(SYSTEM_DIRECTORIES)
        units = PROTECTED_UNITS.intersection(cgroup(pid).split("/"))
        if not (named or units) or _started_by(target.roots, process, processes):
            return ""
        return f"{path}, of the host's own" if named else f"in {min(units)}, of the host's own"

    def own(self) -> set[int]:
        """Return the agent's own processes and their parents."""
        own: set[int] = set()
        for agent in self.agents:
            pid = agent
            while pid > 0 and pid not in own:
                own.add(pid)
                process = read_process(pid)
                pid = process.parent if process else 0
        return own


def _started_by(
    roots: Iterable[ProcessId], process: Process, processes: Mapping[int, Process]
) -> bool:
    """Return whether the workload itself started `process`."""
    living = {root.pid for root in roots}
    if not living or process.id.pid in living:
        return False
    parent = process.parent
    while parent in processes and parent not in living:
        parent = processes[parent].parent
    if parent in living:
        return True
    oldest = min(root.start_ticks for root in roots)
    return process.id.start_ticks >= oldest and cgroup(process.id.pid) in {
        cgroup(pid) for pid in living
    }
