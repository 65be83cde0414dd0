"""Prints one table, capability by kernel: `matrix.py [--smoke] [--resume] [SERIES...]`.

Every kernel by default: Debian's, booted one after the other, then this host's own (`native`).
The suites are run in several boots, and what each did is kept under build/vm: `--resume` runs what
is not there yet, `--kept` prints what is there. Exit status 0 only if every cell is as it must be;
a smoke tells of grown programs and passes.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.vm import counts, kernels, programs
from tests.vm.results import Results
from tests.vm.row import NATIVE, Row
from tests.vm.run import CONSOLE_LINES, Machine, boot
from tests.vm.suites import (
    REFUSAL,
    SUITES,
    Outcome,
    Suite,
    began,
    outcomes,
    run_here,
    script,
)
from tests.vm.table import markdown, notes, table

BOOT_S: Final = 60
"""Of the machine's own seconds: for the kernel, systemd and the way down."""

SESSION_S: Final = 600
"""So much is run in one boot: what a run that breaks off loses, and how full memory gets."""

BOOTS: Final = 2
"""Of a machine that stops before its first suite begins: emulated ones do, while they unpack."""

_TOLD_LINES: Final = 60


def chosen(series: str, *, smoke: bool) -> tuple[Suite, ...]:
    """Return the suites for one kernel."""
    suites = REFUSAL if series == kernels.OLDEST else SUITES
    if smoke:
        suites = tuple(replace(s, command=s.smoke) for s in suites if s.smoke)
    if series == NATIVE and not Path("/run/systemd/system").exists():
        suites = tuple(s for s in suites if not s.systemd)
    return suites


def boots(suites: Sequence[Suite], *, smoke: bool) -> Iterator[tuple[Suite, ...]]:
    """Divide suites among boots: of one kind of machine, and of bounded time; a smoke in one."""
    together: list[Suite] = []
    for suite in suites:
        same = together and _kind(together[0]) == _kind(suite)
        if (
            together
            and not smoke
            and not (same and sum(s.limit_s for s in (*together, suite)) <= SESSION_S)
        ):
            yield tuple(together)
            together = []
        together.append(suite)
    if together:
        yield tuple(together)


def _kind(suite: Suite) -> tuple[bool, tuple[str, ...]]:
    return suite.systemd, suite.packages


def run_vm(series: str, suites: tuple[Suite, ...]) -> list[Outcome]:
    """Boot once and run these."""
    packages = tuple(dict.fromkeys(name for suite in suites for name in suite.packages))
    machine = Machine(series, any(suite.systemd for suite in suites), packages)
    limit_s = BOOT_S + sum(suite.limit_s for suite in suites)
    for _ in range(BOOTS):
        session = boot(machine, script(suites), limit_s=limit_s, quiet=True)
        if session.status is not None:
            break
        print(*session.console.splitlines()[-CONSOLE_LINES:], sep="\n", file=sys.stderr)
        if began(session.output):
            break
    return outcomes(suites, session.output)


def run(
    series: str, suites: Sequence[Suite], results: Results, *, smoke: bool
) -> Iterator[Outcome]:
    """Run one kernel's suites; each outcome is kept, then told."""
    for together in boots(suites, smoke=smoke):
        if series == NATIVE:
            programs.compile_all()
            found = outcomes(together, run_here(together))
        else:
            found = run_vm(series, together)
        for outcome in found:
            results.keep(outcome)
            yield outcome


def tell(outcome: Outcome) -> None:
    """Print the last lines of a suite that failed."""
    print(f"--- {outcome.suite.name}", file=sys.stderr)
    print(*outcome.output.splitlines()[-_TOLD_LINES:], sep="\n", file=sys.stderr)


def write_counts(rows: Sequence[Row]) -> None:
    """Put what was measured into the committed table; series not run keep theirs."""
    kept = counts.read()
    fresh = {row.series: row.instructions() for row in rows}
    known = kept.by_series | fresh
    kept.by_series = {one: known[one] for one in kernels.SERIES if known.get(one)}
    counts.TABLE.write_text(kept.text())


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="what takes three minutes")
    parser.add_argument("--only", action="append", metavar="SUITE", help="not the others")
    parser.add_argument("--counts", action="store_true", help="write the table of instructions")
    parser.add_argument("--resume", action="store_true", help="run what has no result yet")
    parser.add_argument("--kept", action="store_true", help="run nothing: print what is kept")
    parser.add_argument("--markdown", action="store_true", help="the table as documents have it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the same, as one document")
    parser.add_argument("series", nargs="*", default=(*kernels.SERIES, NATIVE))
    return parser.parse_args()


def row(series: str, asked: argparse.Namespace) -> Row:
    """Run what is asked of one kernel; what is known of it then, of this very tree."""
    release = kernels.native() if series == NATIVE else kernels.release(kernels.image(series))
    results = Results.of(release, smoke=asked.smoke)
    suites = chosen(series, smoke=asked.smoke)
    wanted = [] if asked.kept else [s for s in suites if not asked.only or s.name in asked.only]
    if asked.resume:
        wanted = [suite for suite in wanted if results.of_suite(suite) is None]
    ran: dict[str, Outcome] = {}
    for outcome in run(series, wanted, results, smoke=asked.smoke):
        ran[outcome.suite.name] = outcome
        print(f"{release}: {outcome.suite.name} {outcome.words}", flush=True)
        if not outcome.passed:
            tell(outcome)
    known = [ran.get(suite.name) or results.of_suite(suite) for suite in suites]
    return Row(series, release, [outcome for outcome in known if outcome is not None])


def main() -> int:
    """Run every asked kernel; print what each did as it ends, then the table."""
    asked = _parse()
    rows = [row(series, asked) for series in asked.series]
    if asked.counts:
        write_counts(rows)
    shown = markdown(rows) if asked.markdown else table(rows)
    print(f"\n{shown}\n\n{notes(rows)}")
    good = not any(row.faults() or (row.growth() and not asked.smoke) for row in rows)
    if asked.json:
        document = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"), "passed": good,
            "kernels": [row.as_json() for row in rows],
        }  # fmt: skip
        asked.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
