"""What one kernel did: its suites and programs, and what of it is not as it must be."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from tests.vm import counts, kernels
from tests.vm.load import REPORT
from tests.vm.suites import LOAD, Outcome

NATIVE: Final = "native"
_NOTHING: Final[dict[str, Any]] = {
    "tier": "none", "words": "", "attached": [], "missing_fields": [], "programs": [],
}  # fmt: skip


@dataclass(slots=True)
class Row:
    """One kernel of the table."""

    series: str
    release: str
    outcomes: list[Outcome]
    report: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Read the report of the loading suite."""
        self.report = dict(_NOTHING)
        for outcome in self.outcomes:
            for line in outcome.output.splitlines():
                if outcome.suite == LOAD and line.startswith(REPORT):
                    self.report |= json.loads(line.removeprefix(REPORT))

    @property
    def refused(self) -> bool:
        """Whether the agent must refuse this kernel."""
        return self.series == kernels.OLDEST

    @property
    def tier(self) -> str:
        """The tier that runs here."""
        return "refused" if self.refused else str(self.report["tier"])

    def instructions(self) -> dict[str, int]:
        """Instructions processed, of the programs that load."""
        return {p["program"]: p["instructions"] for p in self.report["programs"] if p["works"]}

    def program(self, name: str) -> str:
        """Return a program's cell: its count, or why it has none."""
        found = next((p for p in self.report["programs"] if p["program"] == name), None)
        if found is None:
            return "-"
        if not found["works"]:
            return str(found["words"]).partition(":")[0]
        return f"{found['instructions']:,}{self._mark(name)}"

    def _mark(self, name: str) -> str:
        now = self.instructions()[name]
        if now > counts.NEAR:
            return " !"
        return " +" if counts.read().grown(self.series, name, now) is not None else ""

    def faults(self) -> list[str]:
        """Sentences about what is not as it must be, but for growth."""
        failed = [f"{o.suite.name}: {o.words}" for o in self.outcomes if not o.passed]
        if self.refused:
            return failed
        programs = self.report["programs"]
        failed += [f"{p['program']}: {p['words']}" for p in programs if self._wrongly_refused(p)]
        loaded = any(outcome.suite.name == LOAD.name for outcome in self.outcomes)
        if loaded and self.series != NATIVE and self.tier != "guard":
            failed.append(f"tier {self.tier}, and this kernel has BPF LSM: {self.report['words']}")
        near = [name for name, now in self.instructions().items() if now > counts.NEAR]
        return failed + [f"{name}: near the verifier's limit" for name in near]

    def _wrongly_refused(self, program: dict[str, Any]) -> bool:
        must = not program["hook"].startswith("lsm/") or self.series != NATIVE
        return must and not program["works"]

    def growth(self) -> list[str]:
        """Sentences about programs that grew by more than a quarter."""
        table = counts.read()
        return [
            f"{name}: {before:,} -> {now:,} instructions"
            for name, now in self.instructions().items()
            if (before := table.grown(self.series, name, now)) is not None
        ]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        suites = [
            {
                "suite": o.suite.name, "passed": o.passed, "status": o.status,
                "words": o.words, "seconds": round(o.seconds, 1), "skipped": o.skips,
            }
            for o in self.outcomes
        ]  # fmt: skip
        return {
            "series": self.series, "release": self.release, "tier": self.tier,
            "tier_words": self.report["words"], "suites": suites,
            "missing_fields": self.report["missing_fields"], "attached": self.report["attached"],
            "programs": self.report["programs"], "faults": self.faults(), "growth": self.growth(),
        }  # fmt: skip
