"""Prints one table, kernel by suite: `matrix.py [--smoke] [SERIES...]`, every series by default.

Exit status 0 only if every cell passed.
"""

import argparse
import re
import sys
from dataclasses import dataclass
from typing import Final

from tests.vm import kernels
from tests.vm.run import CONSOLE_LINES, Session, boot

LIMIT_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Suite:
    """What is run in one boot."""

    name: str
    command: str
    systemd: bool = False
    smoke: bool = False


SUITES: Final = (
    Suite("load", "python tests/vm/load.py", smoke=True),
    Suite("host", "python -m pytest tests/host -q --tb=short --color=no"),
    Suite("systemd", "sh tests/vm/unit.sh", systemd=True, smoke=True),
)


def figure(session: Session) -> str:
    """Return a cell: what pytest counted, else only whether it passed, and the seconds it took."""
    counted = re.findall(r"^(\d+ (?:passed|failed)[^\n]*?) in ", session.output, re.MULTILINE)
    said = counted[-1] if counted else ("passed" if session.status == 0 else "FAILED")
    if session.status is None:
        said = "no report"
    return f"{said} ({session.seconds:.0f} s)"


def tell(session: Session) -> None:
    """Print why a cell failed: the session's last lines, and the console where it never ended."""
    last = session.output if session.status is not None else session.output + session.console
    print("\n".join(last.splitlines()[-CONSOLE_LINES:]), file=sys.stderr)


def main() -> int:
    """Boot every asked series with every suite; print the table as it grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="only the suites that take a minute")
    parser.add_argument("series", nargs="*", default=kernels.SERIES)
    asked = parser.parse_args()
    good = True
    print(f"{'kernel':<24} {'suite':<8} result", flush=True)
    for series in asked.series:
        for suite in SUITES:
            if asked.smoke and not suite.smoke:
                continue
            session = boot(
                series, suite.command, systemd=suite.systemd, limit_s=LIMIT_S, quiet=True
            )
            print(f"{session.kernel:<24} {suite.name:<8} {figure(session)}", flush=True)
            if session.status != 0:
                good = False
                tell(session)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
