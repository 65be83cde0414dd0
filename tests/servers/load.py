"""An honest load generator: kept connections, paced requests, answers checked against labels.

As a library: `Load(port, samples, shape).start()` ... `.stop()`. As a program:
`python -m tests.servers.load --port N --samples FILE --rate 50 --seconds 10`,
which prints one JSON report.
"""

import argparse
import http.client
import json
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.servers.dialects import DIALECTS

UNPACED = 0.0  # as fast as the answers come


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some seconds at one rate, or UNPACED. `seconds` may be infinite."""

    requests_per_s: float
    seconds: float


def steady(rate: float, seconds: float) -> tuple[Stretch, ...]:
    """One rate throughout, requests per second."""
    return (Stretch(rate, seconds),)


def peak(rate: float, seconds: float) -> tuple[Stretch, ...]:
    """A third of the time at the rate, a third at ten times the rate, a third at the rate again."""
    return (Stretch(rate, seconds / 3), Stretch(10 * rate, seconds / 3), Stretch(rate, seconds / 3))


def idle(rate: float, seconds: float) -> tuple[Stretch, ...]:
    """A quiet night: a fiftieth of the rate."""
    return (Stretch(rate / 50, seconds),)


SHAPES = {"steady": steady, "peak": peak, "idle": idle}


def arrivals(shape: Sequence[Stretch], workers: int, chance: random.Random) -> Iterator[float]:
    """Yield one worker's request times, seconds from the start: Poisson, its share of each rate."""
    begins = 0.0
    for stretch in shape:
        ends = begins + stretch.seconds
        at = begins
        while True:
            at += (
                chance.expovariate(stretch.requests_per_s / workers)
                if stretch.requests_per_s
                else 0.0
            )
            if at >= ends:
                break
            yield at
        begins = ends


@dataclass(frozen=True, slots=True)
class Report:
    """What came of the load. Latencies are those of answered requests, NaN when there was none."""

    requests: int
    errors: int
    wrong: int  # answered, with another digit than the label
    seconds: float
    requests_per_s: float
    p50_ms: float
    p99_ms: float

    @property
    def sane(self) -> bool:
        """Every request was answered, nine digits in ten rightly (the models know more)."""
        return self.requests > 0 and not self.errors and self.wrong <= self.requests // 10


@dataclass(slots=True)
class Tally:
    """What one worker saw so far."""

    errors: int = 0
    wrong: int = 0
    latencies_s: list[float] = field(default_factory=list)


def summary(tallies: Sequence[Tally], seconds: float) -> Report:
    """Add the workers' tallies up."""
    latencies = sorted(latency for tally in tallies for latency in tally.latencies_s)
    errors = sum(tally.errors for tally in tallies)

    def quantile_ms(share: float) -> float:
        if not latencies:
            return float("nan")
        return 1e3 * latencies[min(len(latencies) - 1, int(share * len(latencies)))]

    return Report(
        requests=len(latencies) + errors,
        errors=errors,
        wrong=sum(tally.wrong for tally in tallies),
        seconds=seconds,
        requests_per_s=len(latencies) / seconds if seconds > 0 else 0.0,
        p50_ms=quantile_ms(0.5),
        p99_ms=quantile_ms(0.99),
    )


class Load:
    """Workers, each with one connection to 127.0.0.1, that follow a shape until it or we end."""

    def __init__(  # noqa: PLR0913 - whom, with what, how
        self,
        port: int,
        samples: Path,
        shape: Sequence[Stretch],
        *,
        workers: int = 4,
        timeout_s: float = 5.0,
        dialect: str = "digits",
    ) -> None:
        """Read the samples; nothing is sent before `start`. `dialect`: of DIALECTS."""
        self._port, self._shape, self._timeout_s = port, tuple(shape), timeout_s
        self._dialect = DIALECTS[dialect]
        known = json.loads(samples.read_text())
        self._bodies = [
            (json.dumps(self._dialect.body(sample["pixels"])).encode(), sample["digit"])
            for sample in known
        ]
        self._stop = threading.Event()
        self._tallies = [Tally() for _ in range(workers)]
        self._threads = [
            threading.Thread(target=self._work, args=(tally, random.Random(index)), daemon=True)
            for index, tally in enumerate(self._tallies)
        ]
        self._begun = self._ended = 0.0

    def start(self) -> "Load":
        """Begin; returns itself."""
        self._begun = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def wait(self) -> Report:
        """Wait for the shape to end."""
        for thread in self._threads:
            thread.join()
        self._ended = self._ended or time.monotonic()
        return self.report()

    def interrupt(self) -> None:
        """Ask the workers to end; requests on their way finish or time out."""
        self._stop.set()

    def stop(self) -> Report:
        """Interrupt, and wait."""
        self.interrupt()
        return self.wait()

    def report(self) -> Report:
        """What came of it so far."""
        return summary(self._tallies, (self._ended or time.monotonic()) - self._begun)

    def _work(self, tally: Tally, chance: random.Random) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout_s)
        for at in arrivals(self._shape, len(self._threads), chance):
            if self._stop.wait(max(0.0, self._begun + at - time.monotonic())):
                break
            if time.monotonic() > self._begun + sum(stretch.seconds for stretch in self._shape):
                break
            body, digit = chance.choice(self._bodies)
            began = time.monotonic()
            try:
                told = self._dialect.digit(ask(connection, self._dialect.path, body))
            except (OSError, http.client.HTTPException, ValueError, LookupError):
                tally.errors += 1
                connection.close()
                self._stop.wait(0.1)  # a refused connection must not become a busy loop
                continue
            tally.latencies_s.append(time.monotonic() - began)
            tally.wrong += told != digit
        connection.close()


def ask(connection: http.client.HTTPConnection, path: str, body: bytes) -> dict[str, object]:
    """POST a body and return the JSON object answered; ValueError for any other answer."""
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    if response.status != http.client.OK or not isinstance(answer, dict):
        raise ValueError(f"{path} answered {response.status}")
    return answer


def main() -> int:
    """Drive one shape and print the report; SIGTERM ends it early, with a report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="steady")
    parser.add_argument(
        "--rate", type=float, default=50.0, help="requests per second; 0 is as fast as answers come"
    )
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--dialect", choices=sorted(DIALECTS), default="digits")
    options = parser.parse_args()
    shape = SHAPES[options.shape](options.rate, options.seconds)
    load = Load(
        options.port, options.samples, shape, workers=options.workers, dialect=options.dialect
    )
    signal.signal(signal.SIGTERM, lambda *_: load.interrupt())
    report = load.start().wait()
    sys.stdout.write(json.dumps(asdict(report)) + "\n")
    return 0 if report.sane else 1


if __name__ == "__main__":
    raise SystemExit(main())
