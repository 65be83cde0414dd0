"""One containment and how its journal records add up to it: a pure fold, no I/O.

A record is a flat mapping with `event` (an `Event`), `id` and `mono_ns`
(CLOCK_MONOTONIC); what else it carries is listed beside each event.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import Any, Final

NANOSECONDS: Final = 1_000_000_000


class Step(IntEnum):
    """The ladder. The number orders the steps; the label is what configuration and CLI say.

    REFLEX is no step that anybody takes: the kernel stopped who did what was not learnt.
    """

    OBSERVE = 0
    ALERT = 1
    REFLEX = 2
    LIMIT = 3
    CONTAIN = 4
    FREEZE = 5
    KILL = 6

    @property
    def label(self) -> str:
        """The word for it in configuration, journal and CLI."""
        return self.name.lower()

    @classmethod
    def from_label(cls, label: str) -> "Step":
        """Return the step called `label`; raises KeyError for any other word."""
        return cls[label.upper()] if label.islower() else cls[""]


class Event(StrEnum):
    """What a journal record says."""

    INTENT = "intent"  # everything in `Containment` above `state`; or an escalation of the same id
    SWITCHED = "switched"  # kernel: bool
    HELD = "held"  # how, processes, running
    DONE = "done"
    EXTENDED = "extended"  # until_ns
    RELEASE = "release"  # why: the intent to give back
    CLEARED = "cleared"  # the kernel switch is off
    RELEASED = "released"  # nothing is held any more
    ENDED = "ended"  # why: killed, or the host was restarted


class State(StrEnum):
    """How far a containment has come."""

    BEGUN = "begun"
    DONE = "done"
    RELEASING = "releasing"
    RELEASED = "released"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, order=True)
class ProcessId:
    """A process that cannot be confused with a later one of the same number.

    Attributes:
        pid: Thread group, in this pid namespace.
        start_ticks: Field 22 of /proc/PID/stat: clock ticks since boot.
    """

    pid: int
    start_ticks: int

    def __str__(self) -> str:
        """Return `pid:start_ticks`, as the journal stores it."""
        return f"{self.pid}:{self.start_ticks}"

    @classmethod
    def parse(cls, text: str) -> "ProcessId":
        """Read what `str` wrote; raises ValueError for anything else."""
        pid, start_ticks = text.split(":")
        return cls(int(pid), int(start_ticks))


@dataclass(frozen=True, slots=True)
class Target:
    """A workload to act on.

    Attributes:
        workload: Its name.
        workload_id: Its number in the kernel's maps, 1 to MAX_WORKLOADS - 1.
        roots: The processes that a rule matched; their descendants belong to it.
    """

    workload: str
    workload_id: int
    roots: tuple[ProcessId, ...] = ()


@dataclass(frozen=True, slots=True)
class Containment:
    """What was, is or is about to be done to one workload.

    Attributes:
        id: Names it in `agent release`.
        target: The workload, with its roots at the time.
        step: REFLEX, LIMIT, CONTAIN, FREEZE or KILL; it only rises.
        reason: Why, for people.
        who: "agent", or the operator's name.
        boot: The kernel's boot id: a restart of the host ends every containment.
        begun_unix_ns: Wall clock, for people and the breaker.
        until_ns: CLOCK_MONOTONIC; 0 means until released.
        planned: Whether the next is known: once, before the first step.
        stopped_before: Stopped by somebody else before us: never continued by us.
        upload_bytes: Of a limit: what may be sent in an hour, by class of peer ("public").
        cut_clients: From CONTAIN on: connections that clients opened are cut, too.
        cgroup: The v2 cgroup frozen by us, below the mount; "" for none.
        state: How far it has come.
        kernel: Whether the kernel's switch was set.
        how: "cgroup", "signals", "cgroup+signals", "kernel" (a reflex); "" while nothing is held.
        processes: What is held.
        running: Of those, what could not be stopped in time.
        why_ended: Why it was released or ended; "" while it lives.
        times: Event name to CLOCK_MONOTONIC ns of its first record since the last intent.
    """

    id: str
    target: Target
    step: Step
    reason: str
    who: str
    boot: str
    begun_unix_ns: int
    until_ns: int
    planned: bool = False
    stopped_before: tuple[ProcessId, ...] = ()
    upload_bytes: Mapping[str, int] = field(default_factory=dict)
    cut_clients: bool = False
    cgroup: str = ""
    state: State = State.BEGUN
    kernel: bool = False
    how: str = ""
    processes: tuple[ProcessId, ...] = ()
    running: tuple[ProcessId, ...] = ()
    why_ended: str = ""
    times: Mapping[str, int] = field(default_factory=dict)

    @property
    def live(self) -> bool:
        """Whether anything may still be held on its behalf."""
        return self.state not in {State.RELEASED, State.ENDED}

    @property
    def held_ns(self) -> int | None:
        """When the last thread was seen stopped, CLOCK_MONOTONIC; None if nothing was stopped."""
        return self.times.get(Event.HELD)

    @property
    def undo(self) -> str:
        """The command that gives the workload back."""
        return f"agent release {self.id}"

    def expired(self, now_ns: int) -> bool:
        """Return whether its end has come; `now_ns` is CLOCK_MONOTONIC."""
        return 0 < self.until_ns <= now_ns

    def does(self, step: Step, limits: Mapping[str, int], *, cut_clients: bool) -> bool:
        """Return whether all of an order is done already."""
        clients = self.cut_clients or not cut_clients or step < Step.CONTAIN
        same = clients and limits in ({}, self.upload_bytes)
        return same and self.step >= step and self.state is State.DONE

    def raised(self, new: "Containment") -> "Containment":
        """Return this one with the order of `new`: the step only rises, the end only moves out."""
        return replace(
            self,
            target=new.target,
            step=max(self.step, new.step),
            reason=new.reason,
            who=new.who,
            until_ns=later(self.until_ns, new.until_ns),
            upload_bytes=new.upload_bytes or self.upload_bytes,
            cut_clients=self.cut_clients or new.cut_clients,
            state=State.BEGUN,
            times={},
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values, for people, the journal and the control socket."""
        plain = asdict(self)
        target = plain.pop("target")
        plain |= {"workload": target["workload"], "workload_id": target["workload_id"]}
        plain["step"] = self.step.label
        plain["undo"] = self.undo
        plain["roots"] = [str(root) for root in self.target.roots]
        for name in ("stopped_before", "processes", "running"):
            plain[name] = [str(process) for process in getattr(self, name)]
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Containment":
        """Read what `as_json` returned; raises KeyError or ValueError for anything else."""
        return cls(
            id=plain["id"],
            target=Target(plain["workload"], plain["workload_id"], _processes(plain["roots"])),
            step=Step.from_label(plain["step"]),
            reason=plain["reason"],
            who=plain["who"],
            boot=plain["boot"],
            begun_unix_ns=plain["begun_unix_ns"],
            until_ns=plain["until_ns"],
            planned=plain.get("planned", False),
            stopped_before=_processes(plain["stopped_before"]),
            upload_bytes=dict(plain.get("upload_bytes", {})),
            cut_clients=plain.get("cut_clients", False),
            cgroup=plain.get("cgroup", ""),
            state=State(plain.get("state", State.BEGUN)),
            kernel=plain.get("kernel", False),
            how=plain.get("how", ""),
            processes=_processes(plain.get("processes", ())),
            running=_processes(plain.get("running", ())),
            why_ended=plain.get("why_ended", ""),
            times=dict(plain.get("times", {})),
        )


def later(one_ns: int, other_ns: int) -> int:
    """Return the later of two ends; 0 is none, and thus the latest."""
    return 0 if 0 in {one_ns, other_ns} else max(one_ns, other_ns)


def advance(before: Containment | None, record: Mapping[str, Any]) -> Containment:
    """Return what `record` makes of `before`; raises KeyError or ValueError for nonsense."""
    event = Event(record["event"])
    if event is Event.INTENT:
        began = Containment.from_json(record)
        return replace(began, times={**began.times, event: record["mono_ns"]})
    if before is None:
        message = f"{event} of a containment that nothing began: {record['id']}"
        raise ValueError(message)
    times = {event: record["mono_ns"], **before.times}
    return replace(before, times=times, **_change(event, record))


def _change(event: Event, record: Mapping[str, Any]) -> dict[str, Any]:
    if event is Event.SWITCHED:
        return {"kernel": record["kernel"]}
    if event is Event.HELD:
        return {
            "how": record["how"],
            "cgroup": record["cgroup"],
            "processes": _processes(record["processes"]),
            "running": _processes(record["running"]),
        }
    if event is Event.EXTENDED:
        return {"until_ns": record["until_ns"]}
    if event is Event.RELEASE:
        return {"state": State.RELEASING, "why_ended": record["why"]}
    if event is Event.ENDED:
        return {"state": State.ENDED, "why_ended": record["why"]}
    states = {
        Event.DONE: State.DONE,
        Event.CLEARED: State.RELEASING,
        Event.RELEASED: State.RELEASED,
    }
    return {"state": states[event]}


def _processes(texts: Iterable[str]) -> tuple[ProcessId, ...]:
    return tuple(ProcessId.parse(text) for text in texts)
