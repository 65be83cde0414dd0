"""Contain, release, list, expire, recover: what the daemon and the command line both use.

Everything that must survive either of them is in the journal and in the
kernel's maps; an object of this class can be thrown away at any point, also by
SIGKILL in the middle of a step, and the next one finishes or undoes the step.
"""

import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from agent.errors import NotReadyError, RefusedError, UnknownError
from agent.response.breaker import Breaker, BreakerOpenError
from agent.response.containment import (
    NANOSECONDS,
    Containment,
    Event,
    ProcessId,
    State,
    Step,
    Target,
    later,
)
from agent.response.freeze import Freezer, Hold
from agent.response.guard import Guard
from agent.response.journal import LOCK_WAIT_S
from agent.response.ledger import Ledger
from agent.response.processes import STOPPED_STATES, Process
from agent.response.rehearsal import Rehearsal
from agent.response.switch import ContainmentSwitch, NoSwitchError, Sent, Switched, SwitchError
from agent.response.tree import Tree
from probes.reflex import Stop

UNATTENDED: Final = "the kernel stopped it by itself, and no agent was there"


class Containments:
    """The containments of this host.

    Safe against other processes and threads: every act holds the journal's lock.

    Args:
        state: The state directory, where the journal is.
        switch: The kernel's switch; None where no agent has loaded it since the host started.
        guard: What is never touched.
        breaker: When to stop acting.
        fault: Called with the name of every point at which a crash is told apart by the journal.
    """

    def __init__(
        self,
        state: Path,
        switch: ContainmentSwitch | None,
        guard: Guard | None = None,
        breaker: Breaker | None = None,
        fault: Callable[[str], None] = lambda _point: None,
    ) -> None:
        self._ledger = Ledger(state)
        self._switch = switch
        self._guard = guard or Guard(frozenset({os.getpid()}))
        self._breaker = breaker or Breaker()
        self._freezer = Freezer.of_this_host(self._guard)
        self._fault = fault
        self._patience_s = LOCK_WAIT_S

    def contain(  # noqa: PLR0913 - what, how far, how long, why and who: one order
        self,
        target: Target,
        step: Step,
        for_s: float | None,
        reason: str,
        who: str,
        *,
        force: bool = False,
        upload_bytes: Mapping[str, int] | None = None,
        cut_clients: bool = False,
    ) -> Containment:
        """Take a step against a workload, and return when it is taken.

        A workload has one at a time: a further call raises its step, and prolongs it.

        Args:
            target: The workload.
            step: LIMIT, CONTAIN, FREEZE or KILL.
            for_s: Seconds until it ends by itself; None: when released.
            reason: For people.
            who: "agent", or the operator.
            force: Act although the breaker is open. No guard rail yields to it.
            upload_bytes: For LIMIT: what may be sent in an hour, by class of peer.
            cut_clients: From CONTAIN on: cut connections that clients opened, too.

        Raises:
            RefusedError: By a guard rail, by the breaker, or because `step` is none to take.
            JournalError: It cannot be recorded; nothing was done.
            SwitchError: The kernel refused, and without it this step is nothing.
        """
        limits = self._checked(step, upload_bytes or {})
        with self._ledger.journal.locked():
            self._ledger.load()
            tree = Tree(target, self._switch)
            found = tree.processes()
            self._guard.check(target, found)
            before = self._standing(target.workload_id)
            until_ns = time.monotonic_ns() + int(for_s * NANOSECONDS) if for_s else 0
            if before and before.does(step, limits, cut_clients=cut_clients):
                return self._prolong(before, until_ns)
            if before is None:
                self._ask_breaker(force=force)
            new = Containment(
                id=_new_id(),
                target=target,
                step=step,
                reason=reason,
                who=who,
                boot=self._ledger.boot,
                begun_unix_ns=time.time_ns(),
                until_ns=until_ns,
                upload_bytes=limits,
                cut_clients=cut_clients and step >= Step.CONTAIN,
            )
            wanted = new if before is None else before.raised(new)
            intent = self._plan(wanted, tree, found, before.step if before else Step.OBSERVE)
            self._fault("intended")
            intent = self._ledger.begin(intent)
            self._fault("intent")
            return self._act(intent, tree)

    def _standing(self, workload_id: int) -> Containment | None:
        """Return its live containment; one that is being given back is given back first."""
        before = self._ledger.live_of(workload_id)
        if before is not None and before.state is State.RELEASING:
            self._release(before, before.why_ended)
            return None
        return before

    def _checked(self, step: Step, upload_bytes: Mapping[str, int]) -> dict[str, int]:
        """Return the budgets of a step that can be taken here; raises RefusedError if it cannot."""
        limits = dict(upload_bytes) if step is Step.LIMIT else {}
        if step < Step.LIMIT or (step is Step.LIMIT and not limits):
            raise RefusedError(f"{step.label} is not something that is done to a workload")
        if step <= Step.CONTAIN and self._switch is None:
            raise NoSwitchError
        return limits

    def sent(self, one: Containment) -> Mapping[str, Sent]:
        """Return what a limited workload has sent against its budgets, by class of peer."""
        if self._switch is None or not one.upload_bytes:
            return {}
        return self._switch.sent(one.target.workload_id)

    def rehearse(self, target: Target, step: Step, *, force: bool = False) -> Rehearsal:
        """Return what `contain` would do now; nothing is recorded, switched or signalled.

        Raises:
            SwitchError: The kernel's list of processes cannot be read.
        """
        if step < Step.LIMIT:
            raise RefusedError(f"{step.label} is not something that is done to a workload")
        with self._ledger.journal.locked():
            self._ledger.load()
            tree = Tree(target, self._switch)
            found = tree.processes()
            before = self._ledger.live_of(target.workload_id)
            refused = ""
            try:
                self._guard.check(target, found)
                if before is None:
                    self._ask_breaker(force=force)
            except RefusedError as error:
                refused = str(error)
            own = self._freezer.own_cgroup(tree, found) if step >= Step.FREEZE else ""
            ids = tuple(sorted(process.id for process in found.values()))
            return Rehearsal(step, refused, ids, own, before.id if before else "")

    def note_stops(
        self, names: Mapping[int, str], for_s: float | None, reason: str = UNATTENDED
    ) -> tuple[Containment, ...]:
        """List whom the kernel stopped by itself, so that they can be given back, and expire.

        Args:
            names: Workload names by number.
            for_s: Seconds until they are given back; None: when released.
            reason: For people.

        Returns:
            The containment of each workload that has such processes.

        Raises:
            JournalError, SwitchError: As for `contain`.
        """
        stops = [] if self._switch is None else self._switch.stops()
        if not stops:
            return ()
        with self._ledger.journal.locked():
            self._ledger.load()
            until_ns = time.monotonic_ns() + int(for_s * NANOSECONDS) if for_s else 0
            return tuple(
                self._list_stops(
                    Target(names.get(number, f"workload {number}"), number),
                    {ProcessId(stop.pid, stop.start_ticks) for stop in stops
                     if stop.workload == number},
                    until_ns,
                    reason,
                )
                for number in sorted({stop.workload for stop in stops})
            )  # fmt: skip

    def _list_stops(
        self, target: Target, ids: set[ProcessId], until_ns: int, reason: str
    ) -> Containment:
        one = before = self._standing(target.workload_id)
        if one is None:
            found = Tree(target, self._switch).processes().values()
            stopped = {process.id for process in found if process.state in STOPPED_STATES}
            one = self._ledger.begin(
                Containment(
                    id=_new_id(),
                    target=target,
                    step=Step.REFLEX,
                    reason=reason,
                    who="agent",
                    boot=self._ledger.boot,
                    begun_unix_ns=time.time_ns(),
                    until_ns=until_ns,
                    planned=True,
                    stopped_before=tuple(sorted(stopped - ids)),
                )
            )
            self._fault("intent")
        if not ids <= set(one.processes):
            one = self._ledger.note(
                one,
                Event.HELD,
                how=one.how or "kernel",
                cgroup=one.cgroup,
                processes=[str(process) for process in sorted({*one.processes, *ids})],
                running=[str(process) for process in one.running],
            )
        return one if before is not None else self._ledger.note(one, Event.DONE, durable=True)

    def _plan(
        self, intent: Containment, tree: Tree, found: Mapping[int, Process], from_step: Step
    ) -> Containment:
        """Note what the way back must know: who had stopped already, and which cgroup."""
        if not intent.planned:
            ours = {stop.pid for stop in self._stops_of(intent.target.workload_id)}
            stopped = sorted(
                process.id
                for process in found.values()
                if process.state in STOPPED_STATES and process.id.pid not in ours
            )
            intent = replace(intent, planned=True, stopped_before=tuple(stopped))
        if intent.step >= Step.FREEZE > from_step:
            intent = replace(intent, cgroup=self._freezer.own_cgroup(tree, found))
        return intent

    def release(self, containment_id: str, why: str = "released by hand") -> Containment:
        """Give a workload back; raises UnknownError, JournalError or SwitchError."""
        with self._ledger.journal.locked():
            self._ledger.load()
            known = self._ledger.known.get(containment_id)
            if known is None or not known.live:
                raise UnknownError("live containment", containment_id)
            return self._release(known, why)

    def release_all(self, why: str = "released by hand") -> tuple[Containment, ...]:
        """Give every workload back, and whom no agent listed; raises JournalError, SwitchError."""
        self.note_stops({}, None)
        with self._ledger.journal.locked():
            self._ledger.load()
            return tuple(self._release(one, why) for one in self._ledger.live())

    def released_ns(self, workload: str) -> int:
        """Return when a workload was last given back since the host started, CLOCK_MONOTONIC.

        0: never. Whoever did it, also while no agent ran; as of the last look, as `live`.
        """
        known = [one for one in self._ledger.known.values() if one.target.workload == workload]
        ours = (one.times for one in known if one.boot == self._ledger.boot)
        return max((times.get(Event.RELEASE, 0) for times in ours), default=0)

    def list(self) -> tuple[Containment, ...]:
        """Return every containment the journal still knows, ended ones too, oldest first."""
        with self._ledger.journal.locked():
            self._ledger.load()
            return tuple(self._ledger.known.values())

    @property
    def set_aside(self) -> tuple[Path, ...]:
        """Corrupt journals that were moved away, oldest first: the agent is degraded."""
        return self._ledger.journal.set_aside

    def live(self) -> tuple[Containment, ...]:
        """Return what is contained now, oldest first; cheap, and never waits a second time.

        While somebody else acts it answers as of the last look.
        """
        if self._ledger.journal.changed():
            with suppress(NotReadyError), self._ledger.journal.locked(self._patience_s):
                self._ledger.load()
            self._patience_s = 0.0
        return self._ledger.live()

    def bound(self, breaker: Breaker) -> None:
        """Stop acting by another count from now on; what began before is counted by it, too."""
        self._breaker = breaker

    def begun_within(self, window_s: float, now_unix_ns: int) -> tuple[Containment, ...]:
        """Return what began in that time, ended or not, oldest first; as of the last look."""
        oldest_ns = now_unix_ns - int(window_s * NANOSECONDS)
        return tuple(one for one in self._ledger.known.values() if one.begun_unix_ns > oldest_ns)

    def breaker_open(self) -> bool:
        """Return whether acting without being asked is over for now."""
        self.live()
        return self._breaker.open(self._ledger.known.values(), time.time_ns())

    def expire(self, now_ns: int) -> tuple[Containment, ...]:
        """Release what has come to its end; `now_ns` is CLOCK_MONOTONIC.

        The kernel's part of a containment ends by itself at that time; stopped
        processes and a frozen cgroup wait for this, or for `agent release`.
        """
        if not any(containment.expired(now_ns) for containment in self.live()):
            return ()
        with self._ledger.journal.locked():
            self._ledger.load()
            due = [one for one in self._ledger.live() if one.expired(now_ns)]
            return tuple(self._release(one, "expired") for one in due)

    def recover(self, names: Mapping[int, str] | None = None) -> tuple[Containment, ...]:
        """Bring host and journal together after a crash; returns what was touched.

        A step that was begun is finished, unless its time is over; a release
        that was begun is finished; what was contained is contained again in
        case the kernel's maps are new. What the kernel contains and the
        journal does not list is listed from now on.

        Args:
            names: Workload names by number, for those the journal does not know.

        Raises:
            JournalError, SwitchError: As for `contain`.
        """
        with self._ledger.journal.locked():
            self._ledger.load()
            now_ns = time.monotonic_ns()
            touched = [self._resume(one, now_ns) for one in self._ledger.live()]
            listed = {containment.target.workload_id for containment in self._ledger.live()}
            told = {} if self._switch is None else self._switch.switched()
            for workload_id, switched in told.items():
                if workload_id not in listed:
                    name = (names or {}).get(workload_id, f"workload {workload_id}")
                    touched.append(self._adopt(Target(name, workload_id), switched))
            self._ledger.compact()
            return tuple(touched)

    def _act(self, containment: Containment, tree: Tree) -> Containment:
        """Do what was recorded as intent, from whatever point it has come to."""
        containment = self._switch_on(containment)
        self._fault("switched")
        if containment.step <= Step.CONTAIN:
            return self._ledger.note(containment, Event.DONE, durable=True)
        hold = self._freezer.hold(tree, containment.cgroup)
        self._fault("stopped")
        containment = self._ledger.note(
            containment,
            Event.HELD,
            how=hold.how,
            cgroup=hold.cgroup,
            processes=[str(process) for process in hold.processes],
            running=[str(process) for process in hold.running],
        )
        self._fault("held")
        if containment.step is Step.FREEZE:
            return self._ledger.note(containment, Event.DONE, durable=True)
        left = self._freezer.kill(tree, hold)
        self._fault("killed")
        if self._switch is not None:
            self._switch.clear(containment.target.workload_id)
        why = "killed" if not left else f"killed; {len(left)} processes wait for the kernel to die"
        return self._ledger.note(containment, Event.ENDED, durable=True, why=why)

    def _switch_on(self, containment: Containment) -> Containment:
        if self._switch is None:
            return self._ledger.note(containment, Event.SWITCHED, kernel=False)
        number, until_ns = containment.target.workload_id, containment.until_ns
        try:
            if containment.upload_bytes:
                self._switch.limit(number, containment.upload_bytes, until_ns)
            if containment.step > Step.LIMIT:
                step, cut = min(containment.step, Step.FREEZE), containment.cut_clients
                self._switch.set(number, step, until_ns, cut_clients=cut)
        except SwitchError:
            if containment.step <= Step.CONTAIN:
                self._ledger.note(containment, Event.RELEASE, why="the kernel refused the switch")
                self._ledger.note(containment, Event.RELEASED, durable=True)
                raise
            # A freeze works by signals alone; the record says that the kernel does not help.
            return self._ledger.note(containment, Event.SWITCHED, kernel=False)
        return self._ledger.note(containment, Event.SWITCHED, kernel=True)

    def _release(self, containment: Containment, why: str) -> Containment:
        if containment.state is not State.RELEASING:
            containment = self._ledger.note(containment, Event.RELEASE, durable=True, why=why)
        self._fault("release")
        stops = self._stops_of(containment.target.workload_id)
        if self._switch is not None:
            self._switch.clear(containment.target.workload_id)
            self._switch.let_off(stops)
        self._fault("cleared")
        # Of one that was only contained, too: the kernel may have stopped who acted against it.
        if containment.step is not Step.LIMIT or containment.processes or stops:
            tree = Tree(containment.target, self._switch)
            hold = Hold("", containment.cgroup, containment.processes, ())
            self._freezer.let_go(tree, hold, containment.stopped_before)
        self._fault("continued")
        return self._ledger.note(containment, Event.RELEASED, durable=True)

    def _stops_of(self, workload_id: int) -> tuple[Stop, ...]:
        """Return whom the kernel stopped by itself in one workload."""
        stops = () if self._switch is None else self._switch.stops()
        return tuple(stop for stop in stops if stop.workload == workload_id)

    def _resume(self, containment: Containment, now_ns: int) -> Containment:
        if containment.state is State.RELEASING:
            return self._release(containment, containment.why_ended)
        if containment.expired(now_ns):
            return self._release(containment, "expired")
        return self._act(containment, Tree(containment.target, self._switch))

    def _adopt(self, target: Target, switched: Switched) -> Containment:
        tree = Tree(target, self._switch)
        found = Containment(
            id=_new_id(),
            target=target,
            step=switched.step,
            reason="the kernel contains it, and no record says why",
            who="agent",
            boot=self._ledger.boot,
            begun_unix_ns=time.time_ns(),
            until_ns=switched.until_ns,
            upload_bytes=switched.upload_bytes,
            cut_clients=switched.cut_clients,
        )
        return self._act(self._ledger.begin(found), tree)

    def _prolong(self, containment: Containment, until_ns: int) -> Containment:
        end_ns = later(containment.until_ns, until_ns)
        containment = self._ledger.note(containment, Event.EXTENDED, durable=True, until_ns=end_ns)
        return self._switch_on(containment)

    def _ask_breaker(self, *, force: bool) -> None:
        now_ns = time.time_ns()
        if not force and self._breaker.open(self._ledger.known.values(), now_ns):
            counted = self._breaker.counted(self._ledger.known.values(), now_ns)
            raise BreakerOpenError(counted, self._breaker.window_s / 60)


def _new_id() -> str:
    """Return an id that sorts by time and is short enough to type."""
    return f"{time.time_ns() // 1_000_000:x}-{secrets.token_hex(2)}"
