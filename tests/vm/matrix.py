"""Prints one table, capability by kernel: `matrix.py [--smoke] [SERIES...]`.

Every kernel by default: Debian's, booted one after the other, then this host's own (`native`).
Exit status 0 only if every cell is as it must be; a smoke tells of grown programs and passes.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.vm import counts, kernels, programs
from tests.vm.row import NATIVE, Row
from tests.vm.run import CONSOLE_LINES, boot
from tests.vm.suites import (
    REFUSAL,
    SKIPPED,
    SUITES,
    Outcome,
    Suite,
    outcomes,
    run_here,
    script,
)

BOOT_S: Final = 120
"""For the kernel, systemd and the way down, on a host that does other things, too."""

_TITLE: Final = 44
_TOLD_LINES: Final = 60


def chosen(series: str, *, smoke: bool) -> tuple[Suite, ...]:
    """Return the suites for one kernel."""
    suites = REFUSAL if series == kernels.OLDEST else SUITES
    if smoke:
        suites = tuple(replace(s, command=s.smoke) for s in suites if s.smoke)
    if series == NATIVE and not Path("/run/systemd/system").exists():
        suites = tuple(s for s in suites if not s.systemd)
    return suites


def run_vm(series: str, suites: Sequence[Suite], *, smoke: bool) -> Row:
    """Boot once without systemd and once with it, or a smoke once, with it."""
    groups = [[s for s in suites if s.systemd is wanted] for wanted in (False, True)]
    if smoke:
        groups = [list(suites)]
    release, found = "", []
    for group in filter(None, groups):
        mine, systemd = tuple(group), any(s.systemd for s in group)
        limit_s = BOOT_S + sum(s.limit_s for s in mine)
        session = boot(series, script(mine), systemd=systemd, limit_s=limit_s, quiet=True)
        release = session.kernel
        found += outcomes(mine, session.output)
        if session.status is None:
            print(*session.console.splitlines()[-CONSOLE_LINES:], sep="\n", file=sys.stderr)
    return Row(series, release, found)


def run(series: str, suites: tuple[Suite, ...], *, smoke: bool) -> Row:
    """Run one kernel's suites."""
    if series == NATIVE:
        programs.compile_all()
        return Row(series, kernels.native(), outcomes(suites, run_here(suites)))
    return run_vm(series, suites, smoke=smoke)


def _cell(row: Row, suite: Suite) -> str:
    outcome = next((o for o in row.outcomes if o.suite.name == suite.name), None)
    if outcome is None:
        return "-"
    word = "skipped" if outcome.status == SKIPPED else ("pass" if outcome.passed else "FAIL")
    return f"{word} ({outcome.seconds:.0f} s)"


def table(rows: Sequence[Row]) -> str:
    """Return the table: a column a kernel; tier, suites, then each program with its count."""
    suites = {suite.name: suite for suite in (*SUITES, *REFUSAL)}
    lines = [["kernel", *(row.release for row in rows)], ["tier", *(row.tier for row in rows)]]
    for suite in suites.values():
        cells = [_cell(row, suite) for row in rows]
        if set(cells) != {"-"}:
            lines.append([f"{suite.name}: {suite.about}", *cells])
    hooks = {p["program"]: p["hook"] for row in rows for p in row.report["programs"]}
    for program in sorted(hooks, key=lambda name: (name.startswith("guard_"), hooks[name], name)):
        title = f"{program} {hooks[program].partition('/')[0]}"
        lines.append([title, *(row.program(program) for row in rows)])
    widths = [max(len(line[i + 1]) for line in lines) for i in range(len(rows))]
    return "\n".join(
        f"{line[0]:<{_TITLE}}"
        + "".join(f"  {cell:>{w}}" for cell, w in zip(line[1:], widths, strict=True))
        for line in lines
    )


def notes(rows: Sequence[Row]) -> str:
    """Return what the cells have no room for."""
    lines = []
    for row in rows:
        lines.append(f"{row.release}: {row.report['words'] or row.tier}")
        for outcome in row.outcomes:
            lines.append(f"  {outcome.suite.name}: {outcome.words}")
            lines += [f"    not run here: {why}" for why in outcome.skips]
        lines += [f"  grew: {told}" for told in row.growth()]
        lines += [f"  WRONG {told}" for told in row.faults()]
    return "\n".join(lines)


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
    parser.add_argument("--json", type=Path, metavar="FILE", help="the same, as one document")
    parser.add_argument("series", nargs="*", default=(*kernels.SERIES, NATIVE))
    return parser.parse_args()


def main() -> int:
    """Run every asked kernel; print what each did as it ends, then the table."""
    asked = _parse()
    rows = []
    for series in asked.series:
        suites = chosen(series, smoke=asked.smoke)
        suites = tuple(s for s in suites if not asked.only or s.name in asked.only)
        row = run(series, suites, smoke=asked.smoke)
        rows.append(row)
        print(
            f"{row.release}: " + ", ".join(f"{o.suite.name} {o.words}" for o in row.outcomes),
            flush=True,
        )
        for outcome in row.outcomes:
            if not outcome.passed:
                tell(outcome)
    if asked.counts:
        write_counts(rows)
    print(f"\n{table(rows)}\n\n{notes(rows)}")
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
