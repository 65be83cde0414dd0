"""What being watched costs each request: two servers of a kind at once, one of them watched.

Off and on one after the other, a shared host's weather is larger than what is asked for: one
server without an agent needed 740 to 1,670 us a request within minutes. Side by side on one
processor, a time slice each, both have the same weather. Each is the watched one in turn, so
that whatever else tells them apart falls out: with r the first's cost over the second's,
watched / unwatched is the root of r (first watched) / r (second watched). What every process
pays once the hooks are there is not in it: the part `calls` has it.
"""

import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, stdev

import numpy as np

from collectors.counters import Counters
from probes.loader import Sensor, remove
from tests.bench.figures import AT_MOST, Figure, Goal, unmeasured
from tests.bench.rig import Rig
from tests.demo.commands import ROOT, CommandError
from tests.servers.engines import EngineServer
from tests.servers.serve import OnnxServer, ServerError, tree

GOAL = Goal(AT_MOST, 1.01)
OF_MEDIAN = 1.2533  # its standard error over a mean's, for what is nearly normal
WHAT = "CPU per request, watched / unwatched"
WORDS = {"digits": "ONNX Runtime", "triton": "Triton", "torchserve": "TorchServe"}
READ_EVERY_S = 0.5
NUMBER = 1

Server = OnnxServer | EngineServer


def started(engine: str, directory: Path) -> Server:
    """Start one; ServerError where that cannot be."""
    known = engine == OnnxServer.dialect
    return OnnxServer.start(directory) if known else EngineServer.start(engine, directory)


def pin(server: Server, processors: set[int]) -> None:
    """Keep all threads that it has, and those they start, to these processors."""
    for member in tree(server.process.pid):
        for thread in member.threads():
            os.sched_setaffinity(thread.id, processors)


def cost_us(servers: tuple[Server, Server], seconds: float) -> tuple[float, float]:
    """Load both at once, as fast as each answers; CPU microseconds per request of each."""
    line = [sys.executable, "-m", "tests.servers.load", "--rate", "0", "--workers", "1"]
    line += ["--seconds", str(seconds)]
    before = [server.cpu_s() for server in servers]
    loads = [
        subprocess.Popen(
            [*line, "--port", str(s.port), "--samples", str(s.samples), "--dialect", s.dialect],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        for s in servers
    ]
    told = [load.communicate()[0] for load in loads]
    if any(load.returncode for load in loads):
        raise CommandError(f"the load was not answered rightly: {told}")
    spent = [server.cpu_s() - was for server, was in zip(servers, before, strict=True)]
    first, second = (
        1e6 * cpu_s / json.loads(words)["requests"]
        for cpu_s, words in zip(spent, told, strict=True)
    )
    return first, second


@contextmanager
def watched(server: Server, pins: Path, work: Path) -> Iterator[None]:
    """Its tree a member, its records and counters read as an agent reads them; then no probes."""
    sensor = Sensor.open(pins)
    over = threading.Event()

    def read() -> None:
        counters = Counters(sensor, work)
        while not over.wait(READ_EVERY_S):
            sensor.ring.peek()
            sensor.ring.advance()
            counters.read(NUMBER)

    reader = threading.Thread(target=read)
    try:
        entry = np.zeros(1, sensor.schema.dtype("member"))
        entry["workload"] = NUMBER
        for member in tree(server.process.pid):
            sensor.maps["members"].set(member.pid.to_bytes(4, "little"), entry.tobytes())
        sensor.adopt()
        reader.start()
        yield
    finally:
        over.set()
        if reader.ident:
            reader.join()
        sensor.close()
        remove(pins)


class Pair:
    """Two servers of a kind on one processor, and who asks them on the others.

    Args:
        engine: Whose.
        directory: To make things in.
        pins: Free, for the probes.
        seconds: Of each load.
    """

    def __init__(self, engine: str, directory: Path, pins: Path, seconds: float) -> None:
        """Start both; ServerError where that cannot be."""
        self._directory, self._pins, self._seconds = directory, pins, seconds
        self._allowed = os.sched_getaffinity(0)
        first = started(engine, directory / f"beside-{engine}-1")
        try:
            self.servers = (first, started(engine, directory / f"beside-{engine}-2"))
        except ServerError:
            first.stop()
            raise
        one = min(self._allowed)
        for server in self.servers:
            pin(server, {one})
        os.sched_setaffinity(0, self._allowed - {one} or {one})

    def stop(self) -> None:
        """End both."""
        os.sched_setaffinity(0, self._allowed)
        for server in self.servers:
            server.stop()

    def costs(self, whose: int | None) -> tuple[float, float]:
        """CPU microseconds per request of each, while the one of this number is watched."""
        if whose is None:
            return cost_us(self.servers, self._seconds)
        with watched(self.servers[whose], self._pins, self._directory):
            return cost_us(self.servers, self._seconds)


def measure(rig: Rig, rounds: int, seconds: float) -> Iterator[Figure]:
    """Yield it for one kind of server after another.

    Args:
        rig: Its agent is switched off.
        rounds: Each is four loads: the first watched, nobody, the second, nobody.
        seconds: Of each load.
    """
    rig.off()
    for engine, words in WORDS.items():
        try:
            pair = Pair(engine, rig.stage.directory, rig.stage.pins, seconds)
        except ServerError as error:
            yield unmeasured(f"{words}: {WHAT}", str(error), GOAL)
            continue
        try:
            yield price(pair, rounds, f"{words}: {WHAT}")
        finally:
            pair.stop()


def price(pair: Pair, rounds: int, name: str) -> Figure:
    """Return what being watched costs, beside what turns without probes differ by."""
    pair.costs(None)  # not taken: a fresh server compiles, caches and grows
    prices, noise, costs = [], [], []
    for _ in range(rounds):
        first, none, second, again = (pair.costs(whose) for whose in (0, None, 1, None))
        prices.append(math.sqrt(first[0] / first[1] * second[1] / second[0]))
        noise.append(math.sqrt(none[0] / none[1] * again[1] / again[0]))
        costs += [*none, *again]
    margin = OF_MEDIAN * 1.96 * stdev(prices) / math.sqrt(rounds)
    note = f"+- {margin:.3f}; nobody watched {median(noise):.3f}; {rounds} rounds"
    note += f", {median(costs):.0f} us of CPU each"
    return Figure(name, median(prices), "", GOAL, note)
