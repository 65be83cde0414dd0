"""Tells the demonstration as it happens and keeps its checks and figures."""

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

PROGRESS_S = 5.0  # between two lines of progress where no terminal is


class DemoFailedError(Exception):
    """Something without which the demonstration cannot go on was not so."""


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of the demonstration, and whether it held."""

    name: str
    held: bool
    detail: str


@dataclass(slots=True)
class Story:
    """Prints steps, progress and checks; `out` is where people read."""

    out: TextIO = sys.stdout
    checks: list[Check] = field(default_factory=list)
    figures: dict[str, object] = field(default_factory=dict)
    _begun: float = field(default_factory=time.monotonic)
    _progress: str = ""
    _told_s: float = -PROGRESS_S

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._begun

    @property
    def held(self) -> bool:
        """Every condition so far was so, and there was one."""
        return bool(self.checks) and all(check.held for check in self.checks)

    def step(self, number: int, title: str) -> None:
        """Begin a step."""
        self._line(f"\n[{self.elapsed_s:5.1f} s] {number}. {title}")

    def say(self, text: str) -> None:
        """Tell something, a line or several."""
        self._line("\n".join(f"          {line}" for line in text.splitlines()))

    def progress(self, text: str) -> None:
        """Show how far something has come: in place on a terminal, else whenever it changed."""
        if self.out.isatty():
            self.out.write(f"\r\033[K          {text}")
            self.out.flush()
            self._progress = text
        elif text != self._progress and self.elapsed_s - self._told_s >= PROGRESS_S:
            self._line(f"          {text}")
            self._progress, self._told_s = text, self.elapsed_s

    def check(self, name: str, *, held: bool, detail: str = "") -> bool:
        """Record a condition and show it; returns whether it held."""
        self.checks.append(Check(name, held, detail))
        mark = "ok" if held else "NOT SO"
        self._line(f"          [{mark}] {name}" + (f": {detail}" if detail else ""))
        return held

    def require(self, name: str, *, held: bool, detail: str = "") -> None:
        """Check, and raise DemoFailedError when it did not hold: going on would make no sense."""
        if not self.check(name, held=held, detail=detail):
            raise DemoFailedError(f"{name}: {detail}" if detail else name)

    def figure(self, name: str, value: object, unit: str = "") -> None:
        """Keep a figure for the JSON report and show it."""
        self.figures[name] = value
        shown = f"{value:.4g}" if isinstance(value, float) else value
        self.say(f"{name}: {shown} {unit}".rstrip())

    def as_json(self) -> dict[str, object]:
        """Return everything: checks, figures and whether all was so."""
        checks = [{"name": c.name, "held": c.held, "detail": c.detail} for c in self.checks]
        failed = [check.name for check in self.checks if not check.held]
        return {
            "held": self.held,
            "failed": failed,
            "seconds": round(self.elapsed_s, 2),
            "checks": checks,
            "figures": self.figures,
        }

    def write_json(self, target: Path | None) -> None:
        """Write the report to a file, or to standard output for None."""
        text = json.dumps(self.as_json(), indent=2) + "\n"
        if target is None:
            sys.stdout.write(text)
        else:
            target.write_text(text)

    def _line(self, text: str) -> None:
        if self._progress and self.out.isatty():
            self.out.write("\n")
        self._progress = ""
        self.out.write(text + "\n")
        self.out.flush()
