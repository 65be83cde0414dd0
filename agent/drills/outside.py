"""Look-alikes done from outside: the server is only asked, or looked at."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.drills.loopback import Load

STRETCH_S: Final = 3.0
PEAK: Final = 10.0

Outside = Callable[[int, Load | None], None]


def peak(_pid: int, load: Load | None) -> None:
    """Ask ten times as much for a while."""
    if load is not None:
        usual, load.rate = load.rate, load.rate * PEAK
        time.sleep(STRETCH_S)
        load.rate = usual


def idle(_pid: int, load: Load | None) -> None:
    """Ask nothing for a while."""
    if load is not None:
        usual, load.rate = load.rate, 0.0
        time.sleep(STRETCH_S)
        load.rate = usual


def program(*line: str) -> Outside:
    """Run a program that is no child of the server."""
    return lambda _pid, _load: _run(line)


def _run(line: tuple[str, ...]) -> None:
    subprocess.run(line, check=False, capture_output=True, timeout=STRETCH_S)


def look(pid: int, _load: Load | None) -> None:
    """Read what a profiler reads of the server."""
    for name in ("maps", "status", "stat"):
        Path(f"/proc/{pid}/{name}").read_bytes()


OUTSIDE: Final[dict[str, Outside]] = {
    "load-peak": peak,
    "idle": idle,
    "healthcheck": program("/usr/bin/env", "true"),
    "operator-shell": program("/bin/sh", "-c", "id; ls /"),
    "profiler": look,
}
