"""What a step would do to a workload, and nothing done."""

from dataclasses import dataclass
from typing import Any

from agent.response.containment import ProcessId, Step


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A step that was not taken.

    Attributes:
        step: The step.
        refused: Why it would not have been taken; "" if it would.
        processes: Which it would have held, or kept from acting.
        cgroup: The v2 cgroup that would have been frozen; "" for none: one by one.
        standing: The containment that it would have raised or prolonged; "" for none.
    """

    step: Step
    refused: str = ""
    processes: tuple[ProcessId, ...] = ()
    cgroup: str = ""
    standing: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "step": self.step.label,
            "refused": self.refused,
            "processes": [process.pid for process in self.processes],
            "cgroup": self.cgroup,
            "standing": self.standing,
        }
