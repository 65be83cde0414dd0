"""What the kernels did, for a terminal and for the documents."""

from collections.abc import Sequence
from typing import Final

from tests.vm import kernels
from tests.vm.row import Row
from tests.vm.suites import REFUSAL, SKIPPED, SUITES, Outcome, Suite

_TITLE: Final = 52


def _asked(rows: Sequence[Row]) -> list[Suite]:
    """Return the suites that any kernel ran, in the order of the table."""
    ran = {outcome.suite.name for row in rows for outcome in row.outcomes}
    return [suite for suite in (*SUITES, *REFUSAL) if suite.name in ran]


def _of(row: Row, suite: Suite) -> Outcome | None:
    return next((o for o in row.outcomes if o.suite.name == suite.name), None)


def _cell(row: Row, suite: Suite) -> str:
    outcome = _of(row, suite)
    if outcome is None:
        return "-"
    word = "skipped" if outcome.status == SKIPPED else ("pass" if outcome.passed else "FAIL")
    return f"{word} ({outcome.seconds:.0f} s)"


def table(rows: Sequence[Row]) -> str:
    """Return the table: a column a kernel; tier, suites, then each program with its count."""
    lines = [["kernel", *(row.release for row in rows)], ["tier", *(row.tier for row in rows)]]
    lines += [
        [f"{suite.name}: {suite.about}", *(_cell(row, suite) for row in rows)]
        for suite in _asked(rows)
    ]
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


def markdown(rows: Sequence[Row]) -> str:
    """Return the table as documents have it: what each suite said, and between which days."""
    lines = [
        ["", *(row.release for row in rows)],
        ["---"] * (len(rows) + 1),
        ["tier", *(row.tier for row in rows)],
    ]
    for suite in _asked(rows):
        found = [_of(row, suite) for row in rows]
        cells = [_said(row, outcome) for row, outcome in zip(rows, found, strict=True)]
        lines.append([f"`{suite.name}`: {suite.about}", *cells])
    dates = sorted(o.date[:10] for row in rows for o in row.outcomes if o.date)
    when = " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "now"
    return f"Run on {when}:\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _said(row: Row, outcome: Outcome | None) -> str:
    if outcome is None:
        return "-" if row.series == kernels.OLDEST else "not run"
    return outcome.words
