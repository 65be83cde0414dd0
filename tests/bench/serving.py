"""Requests per second and CPU per request of a real server, with the agent off and on."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.figures import AT_LEAST, AT_MOST, Alternation, Figure, Goal, effect, floor, spread
from tests.bench.rig import Rig
from tests.demo.commands import ROOT, CommandError

WORKERS = 2
WARM_UP_S = 1.0


@dataclass(frozen=True, slots=True)
class Drive:
    """One measurement at full speed."""

    requests_per_s: float
    cpu_us_per_request: float


def drive(rig: Rig, seconds: float) -> Drive:
    """Ask as fast as answers come, from a process of its own, and count the server's CPU."""
    line = [sys.executable, "-m", "tests.servers.load", "--port", str(rig.server.port)]
    line += ["--samples", str(rig.server.samples), "--rate", "0", "--workers", str(WORKERS)]
    _load([*line, "--seconds", str(WARM_UP_S)])
    before = rig.server.cpu_s()
    report = _load([*line, "--seconds", str(seconds)])
    spent = rig.server.cpu_s() - before
    return Drive(report["requests_per_s"], 1e6 * spent / report["requests"])


def _load(line: list[str]) -> dict[str, float]:
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandError(f"the load was not answered rightly: {done.stdout} {done.stderr}")
    report: dict[str, float] = json.loads(done.stdout)
    return report


def measure(rig: Rig, alternations: int, seconds: float) -> Iterator[Figure]:
    """Alternate off, on, off; yields the ratios and the absolute values."""
    speeds, costs, starts = [], [], []
    rig.off()
    without = drive(rig, seconds)
    for _ in range(alternations):
        starts.append(rig.on())
        during = drive(rig, seconds)
        rig.off()
        after = drive(rig, seconds)
        speeds.append(
            Alternation(without.requests_per_s, during.requests_per_s, after.requests_per_s)
        )
        costs.append(
            Alternation(
                without.cpu_us_per_request, during.cpu_us_per_request, after.cpu_us_per_request
            )
        )
        without = after
    low, high = spread(speeds)
    note = f"off/off {floor(speeds):.3f}, on/off from {low:.3f} to {high:.3f}, {alternations} pairs"
    yield Figure("requests/s, on / off", effect(speeds), "", Goal(AT_LEAST, 0.98), note)
    low, high = spread(costs)
    note = f"off/off {floor(costs):.3f}, on/off from {low:.3f} to {high:.3f}"
    yield Figure("CPU per request, on / off", effect(costs), "", Goal(AT_MOST, 1.02), note)
    yield Figure("requests/s, off", max(pair.before for pair in speeds), "1/s")
    yield Figure("CPU per request, off", min(pair.before for pair in costs), "us")
    yield Figure("agent start until watching", max(starts), "s", note="the slowest")
