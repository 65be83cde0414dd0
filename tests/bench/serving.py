"""What served requests and loading a model cost: three servers of different shape, off and on."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.bench.figures import (
    AT_LEAST,
    AT_MOST,
    Alternation,
    Figure,
    Goal,
    effect,
    floor,
    spread,
    unmeasured,
)
from tests.bench.rig import Rig
from tests.demo.commands import ROOT, CommandError, wait_for
from tests.servers.engines import ENGINES, EngineServer
from tests.servers.serve import OnnxServer, ServerError

WORKERS = 2
WARM_UP_S = 1.0
SEEN_S = 15.0
ONNX = "onnx"
WORDS = {ONNX: "ONNX Runtime", "triton": "Triton", "torchserve": "TorchServe"}


class Served(Protocol):
    """A server under load, whatever its make."""

    @property
    def port(self) -> int:
        """Where it listens on loopback."""

    @property
    def samples(self) -> Path:
        """What to ask, and the right answers."""

    @property
    def dialect(self) -> str:
        """How to ask."""

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The root of its tree."""

    def cpu_s(self) -> float:
        """CPU seconds of its tree."""

    def stop(self) -> None:
        """End it."""


@dataclass(frozen=True, slots=True)
class Drive:
    """One measurement at full speed."""

    requests_per_s: float
    cpu_us: float  # per request, of the server's tree
    p50_ms: float
    p99_ms: float


def drive(server: Served, seconds: float) -> Drive:
    """Ask as fast as answers come, from a process of its own, and count the server's CPU."""
    line = [sys.executable, "-m", "tests.servers.load", "--port", str(server.port)]
    line += ["--samples", str(server.samples), "--rate", "0", "--workers", str(WORKERS)]
    line += ["--dialect", server.dialect]
    _load([*line, "--seconds", str(WARM_UP_S)])
    before = server.cpu_s()
    told = _load([*line, "--seconds", str(seconds)])
    spent = server.cpu_s() - before
    cost = 1e6 * spent / told["requests"]
    return Drive(told["requests_per_s"], cost, told["p50_ms"], told["p99_ms"])


def _load(line: list[str]) -> dict[str, float]:
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandError(f"the load was not answered rightly: {done.stdout} {done.stderr}")
    report: dict[str, float] = json.loads(done.stdout)
    return report


def measure(rig: Rig, alternations: int, seconds: float, loads: int) -> Iterator[Figure]:
    """Yield requests, their cost and latencies, and loading times, of one server after another."""
    starts: list[float] = []
    yield from requests(rig, rig.server, ONNX, alternations, seconds, starts)
    for engine in ENGINES:
        try:
            server = EngineServer.start(engine, rig.stage.directory / engine)
        except ServerError as error:
            yield unmeasured(f"{WORDS[engine]}: requests/s, on / off", str(error))
            continue
        try:
            yield from requests(rig, server, engine, alternations, seconds, starts)
        finally:
            server.stop()
    for engine in (ONNX, *ENGINES):
        with suppress(ServerError):  # told above
            yield loading(rig, engine, loads)
    yield Figure("agent start until watching", max(starts), "s", note="the slowest")


def requests(  # noqa: PLR0913, PLR0917 - whom, how often, how long
    rig: Rig, server: Served, name: str, alternations: int, seconds: float, starts: list[float]
) -> Iterator[Figure]:
    """Alternate off, on, off; yield the ratios, each beside its own noise."""
    rig.off()
    drive(server, seconds)  # not taken: a fresh server compiles, caches and grows for some seconds
    drives = [drive(server, seconds)]
    for _ in range(alternations):
        starts.append(rig.on())
        seen(rig, server)
        drives.append(drive(server, seconds))
        rig.off()
        drives.append(drive(server, seconds))
    words = WORDS[name]
    rows: Sequence[tuple[str, Callable[[Drive], float], Goal | None]] = (
        ("CPU per request", lambda d: d.cpu_us, Goal(AT_MOST, 1.01)),
        ("requests/s", lambda d: d.requests_per_s, Goal(AT_LEAST, 0.99)),
        ("latency p50", lambda d: d.p50_ms, None),
        ("latency p99", lambda d: d.p99_ms, None),
    )
    for what, of, goal in rows:
        pairs = [Alternation(of(a), of(b), of(c)) for a, b, c in _triples(drives)]
        low, high = spread(pairs)
        note = f"off/off {floor(pairs):.3f}, from {low:.3f} to {high:.3f}, {len(pairs)} pairs"
        yield Figure(f"{words}: {what}, on / off", effect(pairs), "", goal, note)
    off = drives[::2]
    note = f"{min(d.cpu_us for d in off):.0f} us of CPU each"
    yield Figure(f"{words}: requests/s, off", max(d.requests_per_s for d in off), "1/s", note=note)


def _triples(drives: Sequence[Drive]) -> Iterator[tuple[Drive, Drive, Drive]]:
    """Off, on, off; off, on, off: each off is the end of one and the beginning of the next."""
    return zip(drives[::2], drives[1::2], drives[2::2], strict=False)


def seen(rig: Rig, server: Served) -> None:
    """Wait until the agent watches the server; CommandError if it does not."""

    def member() -> bool:
        found = rig.agent.status()["workloads"]
        return any(server.process.pid in workload["pids"] for workload in found)

    if not wait_for(member, SEEN_S):
        raise CommandError(f"the agent does not watch {server.dialect} after {SEEN_S:.0f} s")


def loading(rig: Rig, engine: str, loads: int) -> Figure:
    """Start and stop a server again and again, off and on; how much longer it takes to answer."""
    rig.off()
    times = [start_s(rig, engine)]
    for _ in range(loads):
        rig.on()
        times.append(start_s(rig, engine))
        rig.off()
        times.append(start_s(rig, engine))
    pairs = [Alternation(*times[at : at + 3]) for at in range(0, len(times) - 2, 2)]
    # Speeds, so that less is worse, as with requests.
    speeds = [Alternation(1 / p.before, 1 / p.during, 1 / p.after) for p in pairs]
    low, high = spread(speeds)
    note = f"off/off {floor(speeds):.3f}, from {low:.3f} to {high:.3f}; {min(times):.2f} s, off"
    goal = Goal(AT_LEAST, 0.98)
    return Figure(
        f"{WORDS[engine]}: speed of start to ready, on / off", effect(speeds), "", goal, note
    )


def start_s(rig: Rig, engine: str) -> float:
    """Start one more server, wait until it answers, stop it; returns the seconds to its answer."""
    directory = rig.stage.directory / f"{engine}-{time.monotonic_ns()}"
    began = time.monotonic()
    server: Served
    if engine == ONNX:
        server = OnnxServer.start(directory)
    else:
        server = EngineServer.start(engine, directory)
    took = time.monotonic() - began
    server.stop()
    return took
