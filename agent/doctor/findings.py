"""What the doctor found: plain facts, and what they add up to."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """How one thing is."""

    OK = "ok"
    LIMITED = "limited"  # the agent runs, with less
    MISSING = "missing"  # the agent cannot run


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: What was looked at.
        state: How it is.
        words: What was found, in a sentence without a full stop.
        fix: What to do about it; "" where nothing is to be done.
    """

    name: str
    state: State
    words: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Examination:
    """Every finding, in the order in which a reader repairs them."""

    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> "Examination":
        """Collect findings."""
        return cls(tuple(findings))

    @property
    def exit_code(self) -> int:
        """0 all well, 1 with limits, 2 the agent cannot run."""
        states = {finding.state for finding in self.findings}
        return 2 if State.MISSING in states else int(State.LIMITED in states)

    @property
    def missing(self) -> tuple[Finding, ...]:
        """What keeps the agent from running."""
        return tuple(finding for finding in self.findings if finding.state is State.MISSING)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        findings = [{**asdict(finding), "state": str(finding.state)} for finding in self.findings]
        return {"exit": self.exit_code, "findings": findings}

    def text(self, *, colour: bool = False) -> str:
        """Write it for people."""
        from agent.render.lists import findings_text  # noqa: PLC0415 - not for --json

        verdict = (
            "The agent can run here, with everything it has.",
            "The agent can run here, with limits.",
            "The agent cannot run here.",
        )[self.exit_code]
        return findings_text(self.as_json()["findings"], colour=colour) + "\n\n" + verdict
