"""What is run under every kernel, and the shell script that runs it there."""

import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.vm.capabilities import CAPABILITIES, Capability

CHECKOUT: Final = Path(__file__).parents[2]
SKIPPED: Final = 77
"""Exit status of a suite that does not apply here and said why: automake's."""

_PYTEST: Final = "python -m pytest -q --tb=short --color=no --durations=5"

_BEGIN: Final = re.compile(r"suite-begin (\w+) ([\d.]+)")
_END: Final = re.compile(r"suite-end (\w+) (\d+) ([\d.]+)")
_CUT: Final = (124, 137)  # timeout(1) ended it: asked, then killed


@dataclass(frozen=True, slots=True)
class Suite:
    """One command.

    Attributes:
        name: One word.
        about: The row's title.
        command: For a shell, in the checkout.
        limit_s: After so many seconds of the kernel's own clock it is cut.
        systemd: It needs systemd as PID 1.
        smoke: The command of the three-minute run; empty: not part of it.
        packages: Of Debian, which an emulated machine needs for it beside its usual ones.
    """

    name: str
    about: str
    command: str
    limit_s: int
    systemd: bool = False
    smoke: str = ""
    packages: tuple[str, ...] = ()


def _of_host(one: Capability) -> Suite:
    files = " ".join(f"tests/host/test_{name}.py" for name in one.files)
    return Suite(one.name, one.about, f"{_PYTEST} {files}", one.limit_s, packages=one.packages)


LOAD: Final = Suite(
    "load", "loads, attaches, pins, adopts", "python tests/vm/load.py", 120,
    smoke="python tests/vm/load.py",
)  # fmt: skip
SUITES: Final[tuple[Suite, ...]] = (
    LOAD,
    Suite(
        "guard", "denies before the act", "python tests/vm/guest/guard.py", 120,
        smoke="python tests/vm/guest/guard.py --seconds 0.05",
    ),
    Suite(
        "protect", "keeps approved models", "python -m tests.vm.guest.protect", 240,
        smoke="python -m tests.vm.guest.protect",
    ),
    Suite(
        "reflex", "answers what was not learnt", "python -m tests.vm.guest.reflex", 120,
        smoke="python -m tests.vm.guest.reflex",
    ),
    Suite("live", "doctor --live sees each eye", "python tests/vm/live.py", 120),
    *map(_of_host, CAPABILITIES),
    Suite(
        "systemd", "the unit starts, crashes, restarts, stops", "sh tests/vm/unit.sh", 240,
        systemd=True, smoke="sh tests/vm/unit.sh",
    ),
)  # fmt: skip
REFUSAL: Final[tuple[Suite, ...]] = (
    Suite(
        "refusal", "refuses in one sentence", "python tests/vm/refusal.py", 120,
        smoke="python tests/vm/refusal.py",
    ),
)  # fmt: skip


@dataclass(slots=True)
class Outcome:
    """How a suite ended.

    Attributes:
        suite: Which.
        output: What it printed.
        status: None where the machine stopped before the suite ended.
        seconds: By the kernel's own clock.
        date: When it ended, ISO 8601; "" for just now.
    """

    suite: Suite
    output: str = ""
    status: int | None = None
    seconds: float = 0.0
    date: str = ""

    @property
    def passed(self) -> bool:
        """Whether it is as it must be, or does not apply here."""
        return self.status in {0, SKIPPED}

    @property
    def words(self) -> str:
        """The cell: what pytest counted, or the suite's last line; why it has none."""
        if self.status is None:
            return "no report: the machine stopped"
        if self.status in _CUT:
            return f"CUT after {self.suite.limit_s} s"
        counted = re.findall(r"^(\d+ (?:passed|failed).*?) in ", self.output, re.MULTILINE)
        last = (self.output.strip().splitlines() or [""])[-1]
        said = counted[-1] if counted else last
        return said if self.passed else f"FAILED: {said}"

    @property
    def skips(self) -> list[str]:
        """Reasons for which pytest skipped tests here, or the suite itself."""
        if self.status == SKIPPED:
            return [self.words]
        return re.findall(r"^SKIPPED \[\d+\] (.*)$", self.output, re.MULTILINE)


def script(suites: tuple[Suite, ...]) -> str:
    """Return the shell script that runs them one after the other, each within its time."""
    lines = ["now() { cut -d' ' -f1 /proc/uptime; }"]
    for suite in suites:
        command = shlex.quote(suite.command)
        lines += [
            f'echo "suite-begin {suite.name} $(now)"',
            f"timeout --kill-after=10 {suite.limit_s} sh -c {command}",
            f'echo "suite-end {suite.name} $? $(now)"',
        ]
    return "\n".join(lines)


def began(output: str) -> bool:
    """Return whether any suite did."""
    return _BEGIN.search(output) is not None


def outcomes(suites: tuple[Suite, ...], printed: str) -> list[Outcome]:
    """Take apart what the script printed."""
    found = {suite.name: Outcome(suite) for suite in suites}
    at: Outcome | None = None
    began_s = 0.0
    lines: list[str] = []
    for line in printed.splitlines():
        if begin := _BEGIN.fullmatch(line):
            at, began_s, lines = found[begin[1]], float(begin[2]), []
        elif (end := _END.search(line)) and at is not None:
            lines.append(line[: end.start()])  # the last line had no end
            at.status, at.seconds = int(end[2]), float(end[3]) - began_s
            at.output, at = "\n".join(lines), None
        else:
            lines.append(line)
    if at is not None:
        at.output = "\n".join(lines)
    return list(found.values())


def run_here(suites: tuple[Suite, ...]) -> str:
    """Run the script on this very host; what it printed."""
    path = f"{CHECKOUT}/.venv/bin:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", script(suites)],
        cwd=CHECKOUT, env={**os.environ, "PATH": path}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
    )  # fmt: skip
    return done.stdout
