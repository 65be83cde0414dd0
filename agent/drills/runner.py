"""Runs drills one by one and collects what the agent told meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from agent.drills import loopback
from agent.drills.asking import ASKING
from agent.drills.catalogue import Drill
from agent.drills.errors import NoReportError
from agent.drills.outside import OUTSIDE
from agent.drills.recordings import Recordings
from agent.drills.rig import Rig
from agent.store import Store, level_rank

REPORT: Final = "drills.json"

LISTEN_S: Final = 3.0
"""How long a verdict is waited for: two windows of a second, and what comes late."""

APART_S: Final = 10.5
"""Between drills: within ten seconds two of them would be judged as one act."""

CLOCK_S: Final = 0.5
"""A verdict's time is the kernel's, set against the clock when the agent started: the two drift
apart by steps of the clock. Shorter than LISTEN_S, so no earlier drill's verdict is taken."""

_POLL_S: Final = 0.05
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one drill led to.

    Attributes:
        level: Gravest verdict meanwhile; "" for none.
        seconds: From the act's beginning to that verdict; None without one.
        told: What the agent said was new, or its sentence.
        failed: Why the act itself could not be done.
    """

    name: str
    behaviour: str
    expected: str
    level: str
    seconds: float | None
    techniques: tuple[str, ...]
    told: tuple[str, ...]
    as_expected: bool
    failed: str = ""


class Runner:
    """Drills one workload.

    Args:
        store: The agent's local record, `events.db`.
        workload: Its name.
        pid: One of its processes.
        rig: The drills' own server; None for a server of somebody else's.
        recordings: Of each drill.
    """

    def __init__(
        self, store: Path, workload: str, pid: int, rig: Rig | None, recordings: Recordings
    ) -> None:
        """Do nothing yet."""
        self._recordings = recordings
        self._store = store
        self._workload = workload
        self._pid = pid
        self._rig = rig

    def run(self, drills: Iterable[Drill], tell: Callable[[Outcome], None]) -> list[Outcome]:
        """Run drills in their order, telling of each."""
        found = []
        for drill in drills:
            outcome = self._one(drill)
            tell(outcome)
            found.append(outcome)
            if not drill.lookalike:
                time.sleep(max(0.0, APART_S - LISTEN_S))
        return found

    def _one(self, drill: Drill) -> Outcome:
        began_ns = time.time_ns() - round(CLOCK_S * _NS)
        began = time.monotonic()
        with loopback.sink() as port, self._recordings.of(drill):
            failed = self._act(drill, port)
            acted = time.monotonic()
            gravest: dict[str, Any] = {}
            seconds = None
            while time.monotonic() - acted < LISTEN_S:
                for verdict in self._verdicts(began_ns):
                    if not gravest or level_rank(verdict["level"]) > level_rank(gravest["level"]):
                        gravest, seconds = verdict, round(time.monotonic() - began, 2)
                time.sleep(_POLL_S)
        return outcome_of(drill, gravest, seconds, failed)

    def _act(self, drill: Drill, port: int) -> str:
        try:
            if drill.outside:
                OUTSIDE[drill.name](self._pid, None if self._rig is None else self._rig.load)
            elif self._rig is not None and drill.name in ASKING:
                ASKING[drill.name](self._rig)
            elif self._rig is not None:
                return self._rig.act(drill.name, port)
        except OSError as error:
            return str(error)
        return ""

    def _verdicts(self, since_ns: int) -> list[dict[str, Any]]:
        if not self._store.exists():
            return []  # the agent has told nothing yet
        with Store.read(self._store) as store:
            return store.verdicts(since_ns, self._workload)


def outcome_of(
    drill: Drill, gravest: dict[str, Any], seconds: float | None, failed: str
) -> Outcome:
    """Judge what the agent told.

    Args:
        drill: What was done.
        gravest: The gravest verdict meanwhile; empty for none.
        seconds: Until it was told.
        failed: Why the act could not be done.
    """
    level = str(gravest.get("level", ""))
    reached = level_rank(level) if level else -1
    wanted = level_rank(drill.expected)
    novel = [f"{n['level']}: {n['kind']} {n['item']}" for n in gravest.get("novel", ())]
    told = tuple(novel[:6]) or ((gravest["summary"],) if gravest else ())
    fits = reached <= wanted if drill.lookalike else reached >= wanted
    return Outcome(
        name=drill.name,
        behaviour=drill.behaviour or "look-alike",
        expected=str(drill.as_json()["expected"]),
        level=level,
        seconds=seconds,
        techniques=tuple(gravest.get("techniques", ())),
        told=told,
        as_expected=fits and not failed,
        failed=failed,
    )


def keep(state: Path, workload: str, outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Write the report of a run and return it as plain values."""
    rows = [asdict(outcome) for outcome in outcomes]
    report: dict[str, Any] = {
        "time_ns": time.time_ns(),
        "workload": workload,
        "as_expected": sum(row["as_expected"] for row in rows),
        "drills": rows,
    }
    fresh = state / f"{REPORT}.new"
    fresh.write_text(json.dumps(report, indent=1), "utf-8")
    fresh.replace(state / REPORT)
    return report


def latest(state: Path) -> dict[str, Any]:
    """Return the last report.

    Raises:
        NoReportError: There is none.
    """
    path = state / REPORT
    try:
        report: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise NoReportError(path) from error
    return report
