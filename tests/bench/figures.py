"""The benchmark's figures, their goals, and the table that shows both."""

import math
import os
import platform
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

AT_LEAST = ">="
AT_MOST = "<="
THOUSAND = 1000


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should be: `AT_LEAST` or `AT_MOST` a bound, in the figure's unit."""

    sense: str
    bound: float

    def met(self, value: float) -> bool:
        """Tell whether a value meets it; what could not be measured does not."""
        if math.isnan(value):
            return False
        return value >= self.bound if self.sense == AT_LEAST else value <= self.bound


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; NaN where it could not be measured, and the note says why."""

    name: str
    value: float
    unit: str = ""
    goal: Goal | None = None
    note: str = ""

    @property
    def missed(self) -> bool:
        """It has a goal and does not meet it."""
        return self.goal is not None and not self.goal.met(self.value)

    def cells(self) -> tuple[str, str, str, str]:
        """Return name, value, goal and remark as text."""
        value = "not measured" if math.isnan(self.value) else f"{_digits(self.value)} {self.unit}"
        goal = f"{self.goal.sense} {self.goal.bound:,g} {self.unit}" if self.goal else ""
        remark = "  ".join(filter(None, ("MISSED" if self.missed else "", self.note)))
        return self.name, value.strip(), goal.strip(), remark

    def as_json(self) -> dict[str, object]:
        """Return it as a JSON object; a value that was not measured is null."""
        return {
            "name": self.name,
            "value": None if math.isnan(self.value) else self.value,
            "unit": self.unit,
            "goal": f"{self.goal.sense} {self.goal.bound:g}" if self.goal else None,
            "missed": self.missed,
            "note": self.note,
        }


def _digits(value: float) -> str:
    """Write a value so that its size is seen: no powers of ten, no digits beyond the noise."""
    return f"{value:,.0f}" if abs(value) >= THOUSAND else f"{value:.4g}"


def unmeasured(name: str, reason: str, goal: Goal | None = None) -> Figure:
    """Return the figure of something that could not be measured, and why."""
    return Figure(name, math.nan, "", goal, reason)


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as a table, in the order given."""
    rows = [("figure", "measured", "goal", ""), *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        f"{name:<{widths[0]}}  {value:>{widths[1]}}  {goal:<{widths[2]}}  {remark}".rstrip()
        for name, value, goal, remark in rows
    ]
    return "\n".join([lines[0], "-" * sum(widths, 6), *lines[1:]])


def rows(figures: Iterable[Figure]) -> str:
    """Return the figures as the rows of a table in Markdown."""
    found = [
        (name, value, goal.replace(AT_MOST, "≤").replace(AT_LEAST, "≥"), remark)
        for name, value, goal, remark in (figure.cells() for figure in figures)
    ]
    lines = [" | ".join(("", *row, "")).strip().replace("MISSED", "**missed**") for row in found]
    return "\n".join(["| figure | measured | goal | |", "|---|---|---|---|", *lines])


def report(figures: Sequence[Figure], *, markdown: bool) -> str:
    """Return the whole printed page: when, where and how busy, the table, the misses."""
    where = (
        f"{time.strftime('%Y-%m-%d')}: Linux {platform.release()}, {platform.machine()},"
        f" {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    missed = [figure.name for figure in figures if figure.missed]
    words = f"{len(missed)} goals missed: {', '.join(missed)}" if missed else "Every goal met."
    return f"{where}\n\n{rows(figures) if markdown else table(figures)}\n\n{words}"


@dataclass(frozen=True, slots=True)
class Alternation:
    """The same thing measured without, with, and again without, close in time."""

    before: float
    during: float
    after: float


def effect(pairs: Sequence[Alternation]) -> float:
    """Return the median of with / without, where without is the mean of its two neighbours."""
    return median(pair.during * 2 / (pair.before + pair.after) for pair in pairs)


def floor(pairs: Sequence[Alternation]) -> float:
    """Return the median of the second without / the first: what no difference looks like here."""
    return median(pair.after / pair.before for pair in pairs)


def spread(pairs: Sequence[Alternation]) -> tuple[float, float]:
    """Return the lowest and highest with / without."""
    ratios = [pair.during * 2 / (pair.before + pair.after) for pair in pairs]
    return min(ratios), max(ratios)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that `share` of the values do not exceed; NaN for none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
