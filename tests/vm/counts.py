"""Instructions the verifier processed, by program and kernel, against those of the last change.

A program that the verifier follows for longer is nearer to being refused, on this kernel or an
older one. The table is text, so that a change to it is read in review; after veristat of the
kernel's own tests.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TABLE: Final = Path(__file__).with_name("instructions.txt")
LIMIT: Final = 1_000_000
"""BPF_COMPLEXITY_LIMIT_INSNS, include/linux/bpf.h: beyond it a program is refused."""

NEAR: Final = 500_000
"""Half of the limit: another compiler, or one more branch in a loop, may double a program."""

GROWTH: Final = 1.25
SLACK: Final = 500
"""Less than so many more is no growth: small programs move by a quarter with one field read."""

_HEAD: Final = (
    "# Instructions the verifier processed (limit: 1,000,000), by program and kernel series.\n"
    "# Written by `.venv/bin/python tests/vm/matrix.py --only load --counts`.\n"
)


@dataclass(slots=True)
class Counts:
    """Counts by series, then by program."""

    by_series: dict[str, dict[str, int]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Counts":
        """Read the table; a column a series, "-" where a program does not load."""
        rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
        counts = cls()
        for column, series in enumerate(rows[0][1:] if rows else (), 1):
            counts.by_series[series] = {
                row[0]: int(row[column]) for row in rows[1:] if row[column] != "-"
            }
        return counts

    def text(self) -> str:
        """Write the table."""
        programs = list(dict.fromkeys(name for each in self.by_series.values() for name in each))
        rows = [["program", *self.by_series]]
        rows += [
            [name, *(str(each.get(name, "-")) for each in self.by_series.values())]
            for name in sorted(programs)
        ]
        return _HEAD + "".join(
            f"{row[0]:<28}" + "".join(f"{cell:>9}" for cell in row[1:]) + "\n" for row in rows
        )

    def grown(self, series: str, program: str, now: int) -> int | None:
        """Return what a program had, if it grew by more than a quarter since."""
        before = self.by_series.get(series, {}).get(program)
        if before is None or now <= max(before * GROWTH, before + SLACK):
            return None
        return before


def read() -> Counts:
    """Return the committed table."""
    return Counts.parse(TABLE.read_text()) if TABLE.exists() else Counts()
