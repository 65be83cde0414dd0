"""Stop every process of a workload, let them go, or end them.

Two ways to stop. The cgroup freezer, where the workload has a cgroup to itself;
else SIGSTOP to each process, again and again until nothing new appears. Why a
fork cannot escape the second: copy_process() refuses to finish while a signal
waits for its caller, so what has stopped makes no child; and a pass counts only
if everything it found had stopped before it began to look. Where the kernel's switch is on, what
forks does not get so far: it is stopped at the end of the call that forks, parent and child.
"""

import contextlib
import signal
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.response.cgroups import Cgroup, ThawError, common_cgroup, mount_point
from agent.response.containment import ProcessId
from agent.response.guard import Guard
from agent.response.processes import AWAKE_STATES, Process, cgroup, exists, held, stopped
from agent.response.tree import Tree
from agent.response.urgency import hurried

TIMEOUT_S: Final = 2.0
"""Without any more of it stopping: what takes longer waits for a device; the switch and the
pending signal hold it then.
"""

LONGEST_S: Final = 6.0
"""For a tree of which more and more stops, as of a fork bomb on a slow host. Who waits for the
journal waits longer: LOCK_WAIT_S there.
"""

PATIENCE_S: Final = 0.03
"""For disk calls in flight to end; what still sleeps then is the parent of a vfork, most likely."""

FIRST_WAIT_S: Final = 0.0002
LONGEST_WAIT_S: Final = 0.005

LATE_STOP_S: Final = 0.002
"""By then a kernel path that read the switch just before it was cleared has sent its signal."""


@dataclass(frozen=True, slots=True)
class Hold:
    """What was stopped.

    Attributes:
        how: "cgroup", "signals", "cgroup+signals", or "" if there was nothing to stop.
        cgroup: The cgroup that is frozen, "" for none.
        processes: All that belong to the workload.
        running: Those of them that did not stop in time.
    """

    how: str
    cgroup: str
    processes: tuple[ProcessId, ...]
    running: tuple[ProcessId, ...]


@dataclass(frozen=True, slots=True)
class Freezer:
    """Stops and continues trees on this host.

    Attributes:
        guard: Asked about every process before it is signalled.
        mount: Where cgroup v2 is mounted; None without it: then by signals only.
        timeout_s: For a tree to stop, or to continue, or to die.
    """

    guard: Guard
    mount: Path | None
    timeout_s: float = TIMEOUT_S

    @classmethod
    def of_this_host(cls, guard: Guard) -> "Freezer":
        """Find cgroup v2 and return a freezer."""
        return cls(guard, mount_point(Path("/proc/self/mountinfo").read_text(encoding="utf-8")))

    def own_cgroup(self, tree: Tree, found: Iterable[int]) -> str:
        """Return the cgroup that holds all of the workload and nothing else; "" if there is none.

        One that somebody else has frozen is not ours to freeze, nor to thaw.

        Args:
            tree: The workload.
            found: Its processes, as collected a moment ago.
        """
        paths = {cgroup(pid) for pid in found} - {""}
        common = None if self.mount is None else common_cgroup(self.mount, paths)
        if common is None or common.frozen_by_request() or not _exclusive(common, tree):
            return ""
        return common.path

    def hold(self, tree: Tree, own: str) -> Hold:
        """Stop the workload.

        Args:
            tree: Its processes.
            own: What `own_cgroup` said before, so that it is in the journal by now.

        Raises:
            PrivilegeError: A signal is not allowed.
            SwitchError: The kernel's list cannot be read.
        """
        with hurried():
            frozen = self._freeze(tree, own)
            processes, running, signalled = self._stop(tree)
        ways = [way for way, used in (("cgroup", frozen), ("signals", signalled)) if used]
        return Hold("+".join(ways), frozen.path if frozen else "", processes, running)

    def _freeze(self, tree: Tree, own: str) -> Cgroup | None:
        if not own or self.mount is None:
            return None
        group = Cgroup(self.mount, own)
        try:
            complete = group.freeze(self.timeout_s)
        except OSError:
            return None  # unwritable, or gone: signals do it
        if complete and _exclusive(group, tree):
            return group
        # A stranger moved in meanwhile: it must run on, and ours are stopped one by one.
        with contextlib.suppress(ThawError):
            group.thaw()
        return None

    def _stop(self, tree: Tree) -> tuple[tuple[ProcessId, ...], tuple[ProcessId, ...], bool]:
        """Return what there is, what still runs, and whether any signal was needed."""
        began = progress = time.monotonic()
        wait_s = FIRST_WAIT_S
        at_rest: set[ProcessId] = set()
        allowed: set[ProcessId] = set()
        own = self.guard.own()
        signalled = False
        while True:
            patient = time.monotonic() - began > PATIENCE_S
            found: dict[int, Process] = {}
            running: list[Process] = []
            # Each is stopped as it comes: what makes children is stopped before these are sought.
            for process in tree.walk():
                found[process.id.pid] = process
                if self._held(process, patient):
                    continue
                running.append(process)
                if process.id in allowed or not self.guard.reason(tree.target, process, found, own):
                    allowed.add(process.id)  # judged once: it takes many looks at /proc
                    signalled |= tree.signal(process.id, signal.SIGSTOP)
            now = time.monotonic()
            processes = {process.id for process in found.values()}
            settled = not running and processes <= at_rest
            stuck = now - progress > self.timeout_s or now - began > LONGEST_S
            if settled or stuck:
                return (
                    tuple(sorted(processes)),
                    tuple(sorted(process.id for process in running)),
                    signalled,
                )
            if running:
                time.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            before, at_rest = at_rest, processes - {process.id for process in running}
            if at_rest - before:
                progress = now

    def _held(self, process: Process, patient: bool) -> bool:  # noqa: FBT001 - one caller
        # Whose first thread is awake is not held: its others, a hundred in a server, say no more.
        if process.state not in AWAKE_STATES and held(process.id.pid, patient=patient):
            return True
        path = cgroup(process.id.pid)
        return (
            self.mount is not None and path not in {"", "/"} and Cgroup(self.mount, path).frozen()
        )

    def let_go(
        self, tree: Tree, hold: Hold, stopped_before: Collection[ProcessId]
    ) -> tuple[ProcessId, ...]:
        """Let the workload run again; the kernel's switch must be off.

        Args:
            tree: Its processes now.
            hold: What was held, as far as the journal knows.
            stopped_before: Stopped by somebody else before us: left as they are.

        Returns:
            What could not be continued: a debugger holds it.

        Raises:
            ThawError: The cgroup refuses.
            PrivilegeError: A signal is not allowed.
        """
        if hold.cgroup and self.mount is not None:
            Cgroup(self.mount, hold.cgroup).thaw()
        give_up = time.monotonic() + self.timeout_s
        quiet_passes = 0
        while True:
            ours = {process.id for process in tree.processes().values()}
            ours |= {process for process in hold.processes if exists(process)}
            waiting = sorted(
                process for process in ours.difference(stopped_before) if stopped(process.pid)
            )
            quiet_passes = 0 if waiting else quiet_passes + 1
            if quiet_passes > 1 or time.monotonic() > give_up:
                return tuple(waiting)
            for process in waiting:
                tree.signal(process, signal.SIGCONT)
            time.sleep(LATE_STOP_S)

    def kill(self, tree: Tree, hold: Hold) -> tuple[ProcessId, ...]:
        """End the workload, which is held.

        Returns:
            What is not gone in time: it dies when the kernel lets it.

        Raises:
            PrivilegeError: A signal is not allowed.
        """
        if hold.cgroup and self.mount is not None:
            # No such file before Linux 5.14; one by one is as good for what cannot fork.
            with contextlib.suppress(OSError):
                Cgroup(self.mount, hold.cgroup).kill()
        give_up = time.monotonic() + self.timeout_s
        while True:
            found = tree.processes()
            left = {
                process.id
                for process in found.values()
                if not self.guard.reason(tree.target, process, found)
            }
            left |= set(_present(hold.processes))
            if not left or time.monotonic() > give_up:
                break
            for process in left:
                tree.signal(process, signal.SIGKILL)
            time.sleep(LONGEST_WAIT_S)
        if hold.cgroup and self.mount is not None:
            with contextlib.suppress(ThawError):
                Cgroup(self.mount, hold.cgroup).thaw()
        return tuple(sorted(left))


def _present(processes: Iterable[ProcessId]) -> list[ProcessId]:
    return [process for process in processes if exists(process)]


def _exclusive(group: Cgroup, tree: Tree) -> bool:
    """Return whether `group` holds all of the workload and nobody else.

    The cgroup is read first: whatever was in it then is in the tree that is read after, or gone.
    """
    listed = group.members()
    if listed is None:
        return False
    ours = tree.processes()
    inside = all(_within(cgroup(pid), group.path) for pid in ours)
    return inside and not any(pid not in ours and cgroup(pid) for pid in listed)


def _within(path: str, group: str) -> bool:
    return not path or path == group or path.startswith(group + "/")
