"""`agent top`: one screen of what every workload does now."""

from collections.abc import Mapping
from typing import Any, Final

from agent.render.amounts import amount, facts, quantity
from agent.render.table import paint, table

_COLUMNS: Final = (
    "workload",
    "state",
    ">req/s",
    ">p50",
    ">p99",
    ">4xx/s",
    ">5xx/s",
    ">open",
    ">clients",
    ">in",
    ">out",
    ">cpu",
    ">memory",
    ">gpu",
    ">gpu calls/s",
    ">lost",
    "last verdict",
)
_READINGS: Final = (
    ("requests", ""),
    ("answer_wait_p50", "ms"),
    ("answer_wait_p99", "ms"),
    ("request_refusals", ""),
    ("request_errors", ""),
    ("requests_under_way", ""),
    ("clients", ""),
    ("bytes_in", "B/s"),
    ("bytes_out", "B/s"),
    ("cpu_percent", "%"),
    ("rss_bytes", "B"),
    ("gpu_percent", "%"),
    ("gpu_calls", ""),
)
_HELD: Final = "contained"


def snapshot(status: Mapping[str, Any], time_ns: int) -> dict[str, Any]:
    """Return what one screen shows, as plain values; None is what was not read.

    Args:
        status: As `agent status --json`.
        time_ns: Of the question, CLOCK_REALTIME.
    """
    return {
        "time_ns": time_ns,
        "host": status["host"],
        "health": status["health"],
        "overhead": status.get("overhead", {}),
        "losses": {reason: n for reason, n in status.get("losses", {}).items() if n},
        "workloads": [_workload(one) for one in status.get("workloads", ())],
    }


def _workload(one: Mapping[str, Any]) -> dict[str, Any]:
    readings = one.get("readings", {})
    return {
        "name": one["name"],
        "engine": one.get("engine", ""),
        "state": _HELD if one.get("contained") else one["state"],
        "phase": one.get("phase", ""),
        "processes": len(one.get("pids", ())),
        **{name: readings.get(name) for name, _ in _READINGS},
        "lost": one.get("loss", 0),
        "last_verdict": one.get("last_verdict") or None,
    }


def screen(shown: Mapping[str, Any], *, columns: int, colour: bool) -> str:
    """Lay a snapshot out in lines of at most so many characters."""
    head = f"{shown['host']}: {paint(shown['health'], colour=colour)}"
    lines = [f"{head}  agent: {facts(shown['overhead']) or 'not measured'}"]
    lines.append(f"lost: {facts(shown['losses']) or 'nothing'}")
    if not shown["workloads"]:
        lines.append("No workload is watched. Name one: agent watch --name NAME --pid PID")
    else:
        rows = [_row(one) for one in shown["workloads"]]
        lines += ["", *table(_COLUMNS, rows, colour=False).splitlines()]
    return "\n".join([lines[0], *(line[:columns] for line in lines[1:])])


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    last = one["last_verdict"]
    return (
        one["name"],
        one["state"],
        *(quantity(one[name], unit) for name, unit in _READINGS),
        amount("", one["lost"]),
        f"{last['level']}: {last['summary']}" if last else "none",
    )
