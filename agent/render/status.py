"""`agent status` for people."""

import time
from collections.abc import Mapping
from typing import Any, Final

from agent.render.amounts import amount, duration, facts
from agent.render.table import paint, strong, table

_LINES: Final = (
    ("overhead", "not measured"),
    ("outbox", "nothing is sent: no central is configured"),
    ("gpu", "not read"),
    ("models", "none approved"),
)


def status_text(status: Mapping[str, Any], *, colour: bool = False) -> str:
    """Write what the daemon said about itself."""
    parts = [_head(status, colour=colour), _workloads(status.get("workloads", ()), colour=colour)]
    if sensors := status.get("sensors"):
        rows = [
            (name, *(amount("", s.get(key)) for key in ("events", "summarised", "lost")))
            for name, s in sensors.items()
        ]
        parts.append(table(("sensor", ">events", ">summarised", ">lost"), rows, colour=colour))
    if probes := status.get("probes"):
        parts.append(_probes(probes, colour=colour))
    if stages := status.get("stages"):
        columns = ("stage", ">in", ">out", ">pending", ">summarised", "lost")
        parts.append(table(columns, [_stage(stage) for stage in stages], colour=colour))
    lost = {reason: count for reason, count in status.get("losses", {}).items() if count}
    lines = [("losses", facts(lost) or "none")]
    lines += [(name, facts(status[name]) or empty) for name, empty in _LINES if name in status]
    if status.get("handover"):
        lines.append(("hand-over", facts(status["handover"])))
    if any(status.get("control", {}).values()):
        lines.append(("control socket", facts(status["control"])))
    if reflexes := _reflexes(status.get("workloads", ())):
        lines.append(("reflexes", reflexes))
    if tapped := _tapped(status.get("workloads", ())):
        lines.append(("content tap", tapped))
    lines.append(("containments", _containments(status.get("containments", ()))))
    width = max(len(name) for name, _ in lines)
    parts.append(
        "\n".join(f"{strong(f'{name:<{width}}', colour=colour)}  {words}" for name, words in lines)
    )
    return "\n\n".join(parts)


def _stage(stage: Mapping[str, Any]) -> tuple[str, ...]:
    counts = [amount("", stage.get(key)) for key in ("in", "out", "pending")]
    counts.append(amount("", stage["summarised"]) if stage.get("summarised") else "-")
    return (stage["stage"], *counts, facts(stage.get("lost", {})) or "none")


def _head(status: Mapping[str, Any], *, colour: bool) -> str:
    up = duration(float(status.get("uptime_s", 0.0)))
    line = f"{status['host']}: {paint(status['health'], colour=colour)}"
    line += (
        f" (tier {status['tier']}, up {up}, version {status['version']}, probe ABI {status['abi']})"
    )
    return "\n".join([line, *(f"  - {reason}" for reason in status.get("reasons", ()))])


def _probes(probes: Any, *, colour: bool) -> str:  # noqa: ANN401  (a list of plain maps)
    rows = [
        (
            probe["name"],
            probe["state"],
            amount("", probe["events"]),
            amount("", probe["lost"]),
            facts(probe["sums"]) or "-",
            probe["reason"] or probe["description"],
        )
        for probe in probes
    ]
    columns = ("operator probe", "state", ">events", ">lost", "sums", "what")
    return table(columns, rows, colour=colour)


def _workloads(workloads: Any, *, colour: bool) -> str:  # noqa: ANN401  (a list of plain maps)
    if not workloads:
        return "No workload is watched. Name one: agent watch --name NAME --pid PID"
    columns = (
        "workload",
        "engine",
        "state",
        ">processes",
        "baseline",
        "verdicts",
        ">false alarms",
        ">lost",
    )
    return table(columns, [_workload(workload) for workload in workloads], colour=colour)


def _workload(workload: Mapping[str, Any]) -> tuple[str, ...]:
    alarms = (
        workload.get("realised_false_alarms_per_month"),
        workload.get("nominal_false_alarms_per_month"),
    )
    return (
        workload["name"],
        workload.get("engine", ""),
        workload["state"],
        str(len(workload.get("pids", ()))),
        _baseline(workload),
        facts({level: n for level, n in workload.get("verdicts", {}).items() if n}) or "none",
        " of ".join(amount("", value) for value in alarms) + "/month",
        amount("", workload.get("loss", 0)),
    )


def _baseline(workload: Mapping[str, Any]) -> str:
    """Say how far learning has come, or what the finished baseline covers."""
    progress = workload.get("progress", {})
    steps = {
        "learning": (("windows", "min_windows", ""), ("quiet_s", "quiet_needed_s", " s quiet")),
        "shadow": (("shadow_s", "shadow_needed_s", " s scored"),),
    }.get(workload["state"], ())
    words = [
        f"{progress[have]:.0f} of {progress[need]:.0f}{unit}"
        for have, need, unit in steps
        if have in progress
    ]
    if words:
        return ", ".join(words)
    if workload["state"] == "questioned" and workload.get("reason"):
        return str(workload["reason"])
    coverage = workload.get("coverage")
    return "-" if coverage is None else f"covers {coverage:.1%}"


def _reflexes(workloads: Any) -> str:  # noqa: ANN401  (a list of plain maps)
    """Say what the kernel may answer by itself, and why not what was asked for."""
    told = []
    for workload in workloads:
        if reflex := workload.get("reflex"):
            words = f"{workload['name']} {'+'.join(reflex['armed']) or 'none'}"
            words += f" ({reflex['why_not']})" if reflex["why_not"] else ""
            done = {"done": reflex["done"], "spared": reflex["spared"]}
            counted = facts({name: count for name, count in done.items() if count})
            told.append(f"{words}: {counted}" if counted else words)
    return ", ".join(told)


def _tapped(workloads: Any) -> str:  # noqa: ANN401  (a list of plain maps)
    """Say of which routes inputs are compared, and how old what is kept of them is."""
    told = []
    for workload in workloads:
        if tap := workload.get("tap"):
            age = duration(max(0.0, time.time() - tap["since_unix_s"]))
            words = f"{workload['name']} {len(tap['judged'])} of {len(tap['routes'])} routes judged"
            words += f", salt {age} old"
            if refused := tap["refused"]:
                words += f", {refused} readings of further ones not kept"
            told.append(words)
    return "; ".join(told)


def _containments(containments: Any) -> str:  # noqa: ANN401  (a list of plain maps)
    live = [f"{c.get('workload', '')} {c.get('step', '')} ({c['id']})" for c in containments]
    return ", ".join(live) or "none"
