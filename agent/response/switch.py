"""What response asks of the kernel: one switch per workload, which outlives the agent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent.errors import AgentError
from agent.response.containment import Step
from probes.reflex import Stop


class SwitchError(AgentError):
    """The kernel's containment switch did not take: {0}."""

    exit_code = 2


class NoSwitchError(SwitchError):
    """The kernel's switch is not there: start `agent run` once. A freeze works without it."""


@dataclass(frozen=True, slots=True)
class Switched:
    """What the kernel is told of one workload.

    Attributes:
        step: LIMIT, CONTAIN or FREEZE; kill is a freeze followed by a signal.
        until_ns: CLOCK_MONOTONIC; 0: no end.
        upload_bytes: What it may send in an hour, by class of peer, where that is limited.
        cut_clients: Whether connections that others opened are cut, too.
    """

    step: Step
    until_ns: int
    upload_bytes: Mapping[str, int] = field(default_factory=dict)
    cut_clients: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """What a limited workload has sent to one class of peer.

    Attributes:
        spent_bytes: In the hour that runs.
        refused_bytes: Since it was limited.
    """

    spent_bytes: int
    refused_bytes: int


class ContainmentSwitch(Protocol):
    """What response needs of the kernel; every method may raise SwitchError."""

    def set(
        self, workload_id: int, step: Step, until_ns: int, *, cut_clients: bool = False
    ) -> None:
        """Contain or freeze (no other step) the workload until then: CLOCK_MONOTONIC, 0: no end."""

    def limit(self, workload_id: int, upload_bytes: Mapping[str, int], until_ns: int) -> None:
        """Drop what the workload sends beyond so much an hour, by class of peer; others: free.

        What it has sent in the hour that runs stays counted.
        """

    def sent(self, workload_id: int) -> Mapping[str, Sent]:
        """Return what was counted against those limits, by class of peer."""

    def clear(self, workload_id: int) -> None:
        """Contain the workload no longer."""

    def get(self, workload_id: int) -> Switched | None:
        """Return what the kernel is told, expired or not; None for nothing."""

    def switched(self) -> Mapping[int, Switched]:
        """Return every workload that the kernel is told to contain."""

    def stops(self) -> Sequence[Stop]:
        """Return whom the kernel stopped by itself, of any workload."""

    def let_off(self, stops: Iterable[Stop]) -> None:
        """Forget these stops, and allow from now on what they were for."""

    def members(self) -> Mapping[int, tuple[int, int]]:
        """Return thread group → (workload id, role) for every process of every workload."""

    def workload_of(self, pid: int) -> int | None:
        """Return the workload that the kernel lists this thread group for; None for none."""
