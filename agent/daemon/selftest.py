"""Does one of everything in a process of our own, and names the eye that did not see it."""

import threading
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from agent.daemon import eyes
from agent.daemon.deeds import Deeds
from agent.daemon.loop import Loop
from agent.daemon.modes import Modes
from agent.daemon.registry import Registry
from collectors.counters import Counters, Counts
from collectors.records import Records
from collectors.sightings import Sighting
from detectors.assessment import BaselineState
from probes.loader import Sensor, remove
from probes.schema import Schema

NAME: Final = "self-test"
DEEDS_S: Final = 10.0
WAIT_S: Final = 3.0
"""For what is told or counted after the last deed; a window that is longer is waited for."""

_NUMBER: Final = 1
"""Of the self-test, where nothing else is watched."""


class SelfTest:
    """One at a time; runs in the thread that asks, with the loop's help.

    Attributes:
        number: Of the workload that the deeds are, while they are done; else 0.
        seen: What was told of it.
    """

    def __init__(self, loop: Loop, registry: Registry, window_s: float) -> None:
        """Be idle."""
        self._one = threading.Lock()
        self._loop = loop
        self._registry = registry
        self._modes = Modes(registry.membership.sensor)  # with stacks, as of one that guards
        self._wait_s = WAIT_S + 2 * window_s
        self.number = 0
        self.seen: list[Sighting] = []
        self._counted: Counter[str] = Counter()
        self._losses: Counter[str] = Counter()

    def run(self) -> list[dict[str, Any]]:
        """Findings for `agent doctor --live`: name, state, words, fix; a second asker waits."""
        sensor = self._registry.membership.sensor
        with self._one, TemporaryDirectory(prefix="inferward-self-test-") as where:
            (Path(where) / "read").touch()
            with Deeds(where) as deeds:
                number = self._loop.ask(lambda: self._begin(deeds.pid))
                try:
                    failed = deeds.do(eyes.deeds(), DEEDS_S)
                    saw = self._look(where, failed)
                    losses = self._loop.ask(lambda: dict(self._losses))
                finally:
                    self._loop.ask(lambda: self._end(number))
            return eyes.findings(saw, failed, sensor.links(), losses)

    def count(self, counts: Counts, schema: Schema) -> None:
        """Add what one window counted of the deeds."""
        if self.number:
            self._counted.update(counted(counts, schema, self.number))
            losses = counts.named(counts.losses, schema.enum("loss_reason"), self.number)
            self._losses.update({reason: n for reason, n in losses.items() if n})

    def _look(self, where: str, failed: dict[str, str]) -> dict[str, bool]:
        end_s = time.monotonic() + self._wait_s
        while True:
            seen, counts = self._loop.ask(lambda: (list(self.seen), dict(self._counted)))
            saw = eyes.found(seen, counts, where)
            if all(saw[name] for name in saw.keys() - failed) or time.monotonic() > end_s:
                return saw
            time.sleep(0.05)

    def _begin(self, pid: int) -> int:
        self.seen = []
        self._counted, self._losses = Counter(), Counter()
        self.number = self._registry.borrow(NAME, pid)
        self._modes.follow(self.number, BaselineState.GUARDING)
        return self.number

    def _end(self, number: int) -> None:
        self._modes.follow(number, BaselineState.LEARNING)
        self._registry.give_back(NAME, number)
        self.number, self.seen = 0, []


def counted(counts: Counts, schema: Schema, number: int) -> dict[str, int]:
    """What was counted of one workload, by the names that eyes use."""
    mine = counts.grams["workload"] == number
    totals = counts.named(counts.totals, schema.enum("counter"), number)
    return totals | {"sequences": int(counts.grams["count"][mine].sum())}


def alone(pins: Path) -> list[dict[str, Any]]:
    """The same findings without a daemon: probes of their own for a moment, and gone after it.

    Args:
        pins: Where those are named; nothing may be there.

    Raises:
        ProbeError: The kernel refuses them.
    """
    with TemporaryDirectory(prefix="inferward-self-test-") as where:
        (Path(where) / "read").touch()
        try:
            sensor = Sensor.open(pins)
            try:
                return _alone(sensor, where)
            finally:
                sensor.close()
        finally:
            remove(pins)


def _alone(sensor: Sensor, where: str) -> list[dict[str, Any]]:
    schema, records = sensor.schema, Records(sensor.schema)
    counters, sightings = Counters(sensor, Path(where) / "counted"), list[Sighting]()
    counts, losses = Counter[str](), Counter[str]()
    with Deeds(where) as deeds:
        entry = np.zeros(1, schema.dtype("member"))
        entry["workload"] = _NUMBER
        sensor.maps["members"].set(deeds.pid.to_bytes(4, "little"), entry.tobytes())
        Modes(sensor).follow(_NUMBER, BaselineState.GUARDING)
        sensor.adopt()
        failed = deeds.do(eyes.deeds(), DEEDS_S)
        end_s = time.monotonic() + WAIT_S
        while True:
            sightings += [s for s in records.feed(sensor.ring.peek()) if s.workload == _NUMBER]
            sensor.ring.advance()
            read = counters.read()
            counts.update(counted(read, schema, _NUMBER))
            losses.update(read.named(read.losses, schema.enum("loss_reason"), _NUMBER))
            saw = eyes.found(sightings, counts, where)
            if all(saw[name] for name in saw.keys() - failed) or time.monotonic() > end_s:
                break
            time.sleep(0.05)
    return eyes.findings(saw, failed, sensor.links(), {r: n for r, n in losses.items() if n})
