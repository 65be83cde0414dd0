"""What the demonstration demands of verdicts: pure functions over their JSON."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.servers.attack import Attack

LEVELS = ("info", "low", "medium", "high", "critical")
QUIET = ("info", "low")

Verdict = Mapping[str, Any]


def alarming(verdicts: Iterable[Verdict]) -> list[str]:
    """Return one line for each verdict above `low`."""
    return [f"{v['level']}: {v['summary']}" for v in verdicts if v["level"] not in QUIET]


def novel_items(verdicts: Iterable[Verdict], kind: str) -> list[str]:
    """Return the items of a kind that were never seen before, in all the verdicts."""
    return [item["item"] for v in verdicts for item in v.get("novel", ()) if item["kind"] == kind]


def expected(attack: Attack) -> dict[str, tuple[str, ...]]:
    """Return what must be named, by kind of item: any one of the texts, inside the item."""
    return {
        # The kernel names the file that runs: /bin/sh is a link on most systems.
        "exec": (attack.shell, os.path.realpath(attack.shell)),
        "file": (str(attack.secret),),
        "peer": (f"127.0.0.1:{attack.port}",),
    }


def missing(verdicts: Sequence[Verdict], attack: Attack) -> list[str]:
    """Return what the attack did and the verdicts do not name."""
    return [
        f"{kind} {texts[0]}"
        for kind, texts in expected(attack).items()
        if not any(text in item for item in novel_items(verdicts, kind) for text in texts)
    ]


def sequences(verdicts: Iterable[Verdict]) -> list[str]:
    """Return the surprising call sequences the verdicts name."""
    verdicts = list(verdicts)
    found = [" ".join(gram["calls"]) for v in verdicts for gram in v.get("sequences", ())]
    return found + novel_items(verdicts, "sequence")


def family(verdict: Verdict) -> set[int]:
    """Return the process ids the verdict shows from the server down."""
    process = verdict.get("process") or {}
    shown = {process.get("pid", 0), *(elder["pid"] for elder in process.get("ancestry", ()))}
    return shown | {item["pid"] for item in verdict.get("novel", ())}


def same(here: Verdict, there: Verdict) -> list[str]:
    """Return the parts of a verdict that central holds differently."""
    parts = ("id", "workload", "level", "time_ns", "summary", "novel", "techniques")
    return [part for part in parts if here.get(part) != there.get(part)]


def lost(status: Mapping[str, Any]) -> dict[str, int]:
    """Return every loss that `agent status` reports, by reason or sensor; empty for none."""
    reasons = {name: int(count) for name, count in status.get("losses", {}).items()}
    for name, sensor in status.get("sensors", {}).items():
        reasons[f"sensor {name}"] = int(sensor.get("lost") or 0)
    return {name: count for name, count in reasons.items() if count}
