"""A storm as a watched workload: what it did, and what the agent says of it."""

import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.rig import HERE, run
from tests.bench.usage import Usage, usage
from tests.demo.commands import CommandError, Commands, wait_for
from tests.demo.stage import Stage

START_S = 30.0
MEMORY = Path("/dev/shm")
FILES = "files"
FORKS = "forks"
RECORDS = {FILES: "file", FORKS: "exit"}
"""By deed, which sensor's record tells of it: a fork is told by the end of the process."""


class Storm:
    """One program of storm.c at its gate."""

    def __init__(self, directory: Path, deed: str, seconds: float, rate: float) -> None:
        """Compile and start it. `rate` in deeds per second; 0: as fast as it can."""
        program = directory / "storm"
        if not program.exists():
            run("gcc", "-O2", "-Wall", "-Wextra", "-o", program, HERE / "storm.c")
        # In memory where there is such a place: a disk would slow the storm down.
        above = MEMORY if MEMORY.is_dir() else directory
        self._place = Path(tempfile.mkdtemp(prefix=f"storm-{deed}-", dir=above))
        self.deed = deed
        self._process = subprocess.Popen(
            [program, deed, str(seconds), str(rate), self._place],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.pid = int(self._line())

    def begin(self) -> None:
        """Let it loose."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")

    def made(self) -> int:
        """Wait for its end; returns how often it did its deed."""
        return int(self._line())

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
        shutil.rmtree(self._place)

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise CommandError(f"the storm of {self.deed} ended before its time")
        return line


@dataclass(slots=True)
class Report:
    """What the agent told at one moment."""

    health: str
    reasons: list[str]
    events: Counter[str]
    lost: Counter[str]  # by stage and reason
    late: int  # windows
    summarised: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, status: dict[str, Any]) -> "Report":
        """Take what matters here out of `agent status`."""
        lost: Counter[str] = Counter()
        for stage in status["stages"]:
            lost.update({f"{stage['stage']}.{why}": n for why, n in stage["lost"].items()})
        window = next(stage for stage in status["stages"] if stage["stage"] == "window")
        rows = status["sensors"].items()
        return cls(
            status["health"],
            status["reasons"],
            Counter({name: row["events"] for name, row in rows}),
            lost,
            int(window.get("late", 0)),
            Counter({name: row.get("summarised", 0) for name, row in rows}),
        )


def unaccounted(made: dict[str, int], before: Report, after: Report) -> int:
    """Return how many deeds neither came as a record nor in a crowd nor were counted as lost.

    Args:
        made: By deed, as the programs counted.
        before: Told before they began.
        after: Told when all of it had been read.
    """
    told = sum(
        of_after[RECORDS[deed]] - of_before[RECORDS[deed]]
        for deed in made
        for of_after, of_before in (
            (after.events, before.events),
            (after.summarised, before.summarised),
        )
    )
    lost = after.lost["kernel.ring_full"] - before.lost["kernel.ring_full"]
    unexplained = sum(
        abs(after.lost[reason] - before.lost[reason])
        for reason in after.lost
        if reason.endswith(".unexplained")
    )
    lost += after.lost["kernel.crowds_full"] - before.lost["kernel.crowds_full"]
    return max(0, sum(made.values()) - told - lost) + unexplained


@dataclass(slots=True)
class Post:
    """The agent on its stage, watching storms."""

    stage: Stage
    agent: Commands
    pid: int
    readings: list[Usage] = field(default_factory=list)

    def report(self) -> Report:
        """Ask the agent."""
        return Report.of(self.agent.status())

    def watch(self, storm: Storm) -> None:
        """Have the agent watch a storm, before it begins."""
        self.agent.text("watch", "--name", f"storm-{storm.deed}", "--pid", str(storm.pid))

    def follow(self, seconds: float, every_s: float) -> None:
        """Read what the daemon uses, again and again."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.readings.append(usage(self.pid))
            time.sleep(max(0.0, min(every_s, ends - time.monotonic())))
        self.readings.append(usage(self.pid))

    def settled(self) -> Report:
        """Wait until nothing more comes, and return what is told then."""
        found = [self.report()]

        def still() -> bool:
            found.append(self.report())
            last, one_before = found[-1], found[-2]
            return (last.events, last.summarised) == (one_before.events, one_before.summarised)

        wait_for(still, START_S, 1.0)
        return found[-1]


@contextmanager
def post() -> Iterator[Post]:
    """Start an agent with the default's windows that watches nothing yet."""
    with Stage() as stage:
        stage.agent = agent = Commands(stage.configuration(HERE / "quiet.toml.in", WORKLOADS=""))
        daemon = stage.launch("agent", agent.line("run"))
        if not wait_for(lambda: daemon.poll() is not None or agent.status(), START_S):
            raise CommandError("the agent does not answer")
        yield Post(stage, agent, daemon.pid)
