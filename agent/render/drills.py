"""Drills for people: what there are, and what was caught."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from agent.render.amounts import moment
from agent.render.table import table

_CAUGHT: Final = {(True, True): "quiet", (True, False): "ALARM", (False, True): "caught"}


def drill_table(drills: Iterable[Mapping[str, Any]]) -> str:
    """Write a line for each drill."""
    rows = [
        (d["name"], d["behaviour"], d["what"], d["expected"], " ".join(d["techniques"]))
        for d in drills
    ]
    return table(("name", "behaviour", "what", "expected", "techniques"), rows)


def matrix(report: Mapping[str, Any], *, colour: bool = False) -> str:
    """Write the report of one run: a line for each drill, what was missed in detail, and sums."""
    drills = report["drills"]
    rows = [
        (
            d["behaviour"],
            d["name"],
            "failed" if d["failed"] else _verdict(d),
            d["level"] or "none",
            "" if d["seconds"] is None else f"{d['seconds']:.2f}",
            " ".join(d["techniques"]),
        )
        for d in drills
    ]
    columns = ("behaviour", "drill", "outcome", "level", ">seconds", "techniques")
    odd = [
        f"{d['name']} ({d['expected']}): {d['failed'] or '; '.join(d['told']) or 'nothing told'}"
        for d in drills
        if not d["as_expected"]
    ]
    parts = [f"{moment(report['time_ns'])}, {report['workload']}"]
    parts += [table(columns, rows, colour=colour)]
    parts += ["Not as expected:\n" + "\n".join(f"  {line}" for line in odd)] if odd else []
    return "\n\n".join([*parts, _sums(drills)])


def _verdict(drill: Mapping[str, Any]) -> str:
    lookalike = drill["behaviour"] == "look-alike"
    return _CAUGHT.get((lookalike, bool(drill["as_expected"])), "MISSED")


def _sums(drills: Iterable[Mapping[str, Any]]) -> str:
    alike = [d for d in drills if d["behaviour"] == "look-alike"]
    real = [d for d in drills if d["behaviour"] != "look-alike"]
    caught, quiet = (sum(d["as_expected"] for d in each) for each in (real, alike))
    return f"{caught} of {len(real)} attacks caught; {quiet} of {len(alike)} look-alikes quiet."
