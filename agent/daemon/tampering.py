"""What is done to the daemon itself and to its files: stopped, traced, changed behind its back.

It is noticed when it goes on. Who it was cannot be known; that it was is a verdict.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.config.load import DROP_INS
from agent.daemon.alarms import alarm
from agent.response.processes import executable

if TYPE_CHECKING:
    from agent.config.schema import Settings
    from agent.daemon.daemon import Daemon

LOOK_S: Final = 1.0

STILL_S: Final = 3.0
"""Of standing still, beyond working, waiting for a processor and sleeping as meant. A write to a
slow disk takes less, and is said as what it may be."""

_NS: Final = 1_000_000_000

Look = tuple[int, int, int]
"""Inode, size and time of change: what a file is known by."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Of the loop's thread: the clock, time at work, and time waiting for a processor, in ns."""

    at_ns: int
    work_ns: int
    wait_ns: int

    @classmethod
    def now(cls) -> Moment:
        """Read them; /proc/thread-self/schedstat, sched-stats.rst."""
        spent = Path("/proc/thread-self/schedstat").read_text("ascii").split()
        return cls(time.monotonic_ns(), int(spent[0]), int(spent[1]))

    def still_s(self, since: Moment) -> float:
        """Return how long the thread neither worked nor waited for a processor."""
        worked = self.work_ns - since.work_ns + self.wait_ns - since.wait_ns
        return (self.at_ns - since.at_ns - worked) / _NS


def tracer() -> int:
    """Return who traces this process; 0: nobody."""
    for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
        if line.startswith("TracerPid:"):
            return int(line.split()[1])
    return 0


def look_at(paths: Iterable[Path]) -> dict[Path, Look]:
    """Return what each of these is now; what is not there is left out."""
    found: dict[Path, Look] = {}
    for path in paths:
        try:
            seen = path.stat()
        except OSError:
            continue
        found[path] = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
    return found


def changed(before: Mapping[Path, Look], now: Mapping[Path, Look]) -> list[str]:
    """Say in words what differs."""
    return [
        f"{path} was {'removed' if path not in now else 'changed' if path in before else 'added'}"
        for path in sorted(before.keys() | now.keys())
        if before.get(path) != now.get(path)
    ]


def configured(settings: Settings) -> list[Path]:
    """Return every file that the configuration was read from, or would be."""
    files = {origin.file for origin in settings.origins.values()}
    folders = {file.parent if file.parent.name == DROP_INS else file.parent / DROP_INS
               for file in files}  # fmt: skip
    folders |= {settings.paths.workloads, settings.paths.probes}
    listed = [path for folder in folders for path in _listing(folder)]
    return sorted({*files, *listed})


def _listing(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:  # not there: nobody uses it
        return []


class Tampering:
    """Looks once a second; one per daemon."""

    def __init__(self, daemon: Daemon) -> None:
        """What the files are at the start is what was read."""
        self._daemon = daemon
        self._last: Moment | None = None
        self._tracer = 0
        self._continued = False
        self._still_s = 0.0
        self._files = look_at(configured(daemon.settings))

    def begin(self, every: Callable[[float, Callable[[int], None]], None]) -> None:
        """Look from now on."""
        every(LOOK_S, self.look)

    def continued(self) -> None:
        """SIGCONT came: somebody had stopped this process, or pretends to."""
        self._continued = True

    def look(self, now_ns: int) -> None:
        """Ask whether anything was done since the last look, and tell it."""
        moment, last = Moment.now(), self._last
        self._last = moment
        still_s = 0.0 if last is None else moment.still_s(last) - LOOK_S
        if self._continued or self._still_s > STILL_S:
            self._stood_still(now_ns, max(still_s, self._still_s))
            self._continued, still_s = False, 0.0
        self._still_s = still_s  # told at the next look: the signal that ended it may come later
        self._look_for_tracer(now_ns)
        self.look_at_files(now_ns)

    def _stood_still(self, now_ns: int, still_s: float) -> None:
        how = "was stopped and continued by a signal" if self._continued else "stood still"
        why = "" if self._continued else ": stopped, frozen or traced, or a disk made it wait"
        words = f"the agent {how} for {max(still_s, 0.0):.1f} s{why}"
        self._tell(now_ns, [words], "what the kernel recorded meanwhile is judged now", still_s)

    def _look_for_tracer(self, now_ns: int) -> None:
        found = tracer()
        if found and found != self._tracer:
            words = f"process {found} ({executable(found) or 'already gone'}) traces the agent"
            self._tell(now_ns, [words], "it goes on as far as it is let")
        self._tracer = found

    def look_at_files(self, now_ns: int) -> None:
        """Ask whether configuration and baselines are as this daemon read or wrote them."""
        daemon = self._daemon
        now = look_at(configured(daemon.settings))
        if words := changed(self._files, now):
            self._files = now
            done = "in force is what was read before, until it is told to read again"
            self._tell(now_ns, words, done, level="medium")
        kept = daemon.baselines.kept
        if words := changed(kept, look_at(kept)):
            daemon.baselines.kept = look_at(kept)
            self._tell(now_ns, words, "what was learned is in memory, and is written again")
            daemon.save()

    def _tell(
        self,
        now_ns: int,
        what: list[str],
        done: str,
        lasted_s: float = LOOK_S,
        level: str = "high",
    ) -> None:
        daemon = self._daemon
        time_ns = now_ns + daemon.offset_ns
        span_ns = (time_ns - int(max(lasted_s, LOOK_S) * _NS), time_ns)
        process = daemon.lineage.describe(os.getpid())
        told = alarm(
            daemon.settings.host,
            span_ns,
            process,
            what,
            done,
            level=level,
            about="the agent itself",
        )
        daemon.tell(told)
