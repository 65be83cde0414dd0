"""What the daemon itself costs, and how fast it answers."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil

from tests.bench.figures import AT_MOST, Figure, Goal
from tests.bench.rig import Rig
from tests.demo.commands import ROOT

MIB = 1 << 20
STATUS_RUNS = 7


def measure(rig: Rig, seconds: float) -> Iterator[Figure]:
    """Watch the daemon while the server is under load, and while it is idle; then ask it."""
    rig.on()
    process = psutil.Process(rig.running().pid)
    busy = [sys.executable, "-m", "tests.servers.load", "--port", str(rig.server.port)]
    busy += ["--samples", str(rig.server.samples), "--rate", "100", "--seconds", str(seconds + 1)]
    with subprocess.Popen(busy, cwd=ROOT, stdout=subprocess.DEVNULL) as load:
        percent = cpu_percent(process, seconds)
        load.terminate()
    yield Figure("daemon CPU, 100 requests/s", percent, "%", Goal(AT_MOST, 2.0), "of one core")
    yield Figure("daemon CPU, idle server", cpu_percent(process, seconds), "%")
    rig.running()  # what ended meanwhile would have cost nothing
    rss = process.memory_info().rss / MIB
    yield Figure("daemon RSS", rss, "MiB", Goal(AT_MOST, 150.0))
    answers = [rig.agent.ask("status", "--json").seconds * 1e3 for _ in range(STATUS_RUNS)]
    note = f"median of {STATUS_RUNS}, with the start of Python"
    yield Figure("agent status", statistics.median(answers), "ms", Goal(AT_MOST, 300.0), note)


def cpu_percent(process: psutil.Process, seconds: float) -> float:
    """Return the CPU a process takes over some seconds, in percent of one core."""
    before = sum(process.cpu_times()[:2])
    time.sleep(seconds)
    return float(100 * (sum(process.cpu_times()[:2]) - before) / seconds)
