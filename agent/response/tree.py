"""Which processes a workload consists of, right now."""

import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agent.errors import PrivilegeError
from agent.powers import raised
from agent.response.containment import ProcessId, Target
from agent.response.processes import Process, children, exists, read_process
from agent.response.switch import ContainmentSwitch


@dataclass(frozen=True, slots=True)
class Tree:
    """A workload's processes: members by the kernel's list, roots, and their descendants.

    The kernel's list follows a process that left its parents (double fork);
    descent follows one that the kernel had no room to list. A process that the
    kernel lists for another workload belongs to that one.

    Attributes:
        target: The workload.
        switch: Where the kernel's list is; None without one.
    """

    target: Target
    switch: ContainmentSwitch | None

    def processes(self) -> dict[int, Process]:
        """Return them by pid, zombies left out.

        Raises:
            SwitchError: The kernel's list cannot be read.
        """
        return {process.id.pid: process for process in self.walk()}

    def walk(self) -> Iterator[Process]:
        """Yield them, zombies left out; the children of each are looked for when it was taken.

        Who stops each as it comes finds no child that was born later than that.

        Raises:
            SwitchError: The kernel's list cannot be read.
        """
        listed: Mapping[int, tuple[int, int]] = {} if self.switch is None else self.switch.members()
        waiting = [
            pid for pid, (workload, _) in listed.items() if workload == self.target.workload_id
        ]
        waiting += [root.pid for root in self.target.roots if exists(root)]
        found: set[int] = set()
        while waiting:
            pid = waiting.pop()
            if (
                pid in found
                or listed.get(pid, (self.target.workload_id,))[0] != self.target.workload_id
            ):
                continue
            process = read_process(pid)
            if process is not None:
                found.add(pid)
                if not process.gone:
                    yield process
                waiting += children(pid)

    def signal(self, process: ProcessId, number: signal.Signals) -> bool:
        """Signal that very process; returns False if it is gone or another workload's.

        Who it is gets checked with a pidfd open: from then on nobody else can have its number.

        Raises:
            PrivilegeError: We may not.
            SwitchError: The kernel's list cannot be read.
        """
        try:
            fd = os.pidfd_open(process.pid)
        except ProcessLookupError:
            return False
        try:
            listed = None if self.switch is None else self.switch.workload_of(process.pid)
            if listed not in {None, self.target.workload_id} or not exists(process):
                return False
            with raised("kill"):  # it may be another user's
                signal.pidfd_send_signal(fd, number)
        except ProcessLookupError:
            return False
        except PermissionError as error:
            raise PrivilegeError(f"stopping process {process.pid}") from error
        else:
            return True
        finally:
            os.close(fd)
