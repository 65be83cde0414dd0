"""A daemon killed at any moment loses no count and tells no first thing twice."""

import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from collectors.counters import Counters
from collectors.grams import GramTable
from probes.loader import Sensor
from tests.host.daemons import Daemon, Server, Verdict, wait_for
from tests.host.eyes import DEEDS, Gated, build

pytestmark = pytest.mark.timeout(300)

KILLS = 7
PACED = 4001
TOOLS = 23
GETPPID = 110
NAME = "killed"


@dataclass(slots=True)
class Life:
    """A daemon that is killed again and again, and a deed that goes on."""

    daemon: Daemon
    gated: Gated


@pytest.fixture
def life() -> Iterator[Life]:
    build(DEEDS)
    daemon = Daemon()
    gated = Gated([DEEDS, "paced", str(PACED), "1000"], 1)
    try:
        daemon.configure().start()
        daemon.ask("watch", name=NAME, pid=gated.pid)
        yield Life(daemon, gated)
    finally:
        gated.process.kill()
        gated.process.communicate()
        daemon.close()


def kernel_calls(pins: Path) -> Counter[int]:
    """How often each call was made, as the kernel's own table has it since it was made."""
    sensor = Sensor.open(pins)
    grams = GramTable(sensor.maps, sensor.schema).read()
    sensor.close()
    calls: Counter[int] = Counter()
    for word, count in zip(grams["word"], grams["count"], strict=True):
        calls[int(word & 511) - 1] += int(count)
    return calls


def told_calls(daemon: Daemon) -> int:
    """Calls that a next daemon would not tell again."""
    sensor = Sensor.open(daemon.pins)
    counters = Counters(sensor, daemon.run_directory)
    left = counters.read().grams
    sensor.close()
    mine = (left["word"] & 511) == GETPPID + 1
    return int(left["count"][mine].sum())


def test_no_call_is_lost_over_many_kills(life: Life) -> None:
    chance = random.Random(20)
    life.gated.tell()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.05, 0.6))
        life.daemon.kill()
        life.daemon.start()
    life.gated.process.wait(60.0)
    assert kernel_calls(life.daemon.pins)[GETPPID] == PACED
    wait_for(lambda: life.daemon.workload(NAME).get("state"))
    time.sleep(1.0)  # windows, and what they told
    stages = {row["stage"]: row for row in life.daemon.status()["stages"]}
    assert not [row for row in stages.values() if row["lost"]], stages
    life.daemon.kill()
    assert told_calls(life.daemon) == 0


def test_each_first_thing_is_told_exactly_once_over_many_kills() -> None:
    daemon, chance = Daemon(), random.Random(7)
    server = Server(daemon.at / NAME)
    try:
        server.start()
        daemon.configure(server.rule("alert")).start()
        wait_for(lambda: daemon.workload(NAME).get("state") == "guarding", 90.0)
        tools = [server.home / f"tool-{turn}" for turn in range(TOOLS)]
        for tool in tools:
            shutil.copy("/bin/true", tool)
        for turn, tool in enumerate(tools):
            server.do(f"subprocess.run(['{tool}']); answer = 1")
            time.sleep(chance.uniform(0.0, 0.15))
            if turn % 3 == 0:
                daemon.kill()
                daemon.start()
        names = Counter(
            novel["item"]
            for verdict in wait_for_calm(daemon, {str(tool) for tool in tools})
            for novel in verdict["novel"]
            if novel["kind"] == "exec"
        )
        assert {str(tool): names[str(tool)] for tool in tools} == dict.fromkeys(map(str, tools), 1)
    finally:
        server.stop()
        daemon.close()


def wait_for_calm(daemon: Daemon, items: set[str]) -> list[Verdict]:
    """The verdicts, once they name all of these and some time passed."""

    def named() -> bool:
        told = {novel["item"] for v in daemon.verdicts(NAME) for novel in v["novel"]}
        return items <= told

    with suppress(AssertionError):  # what is missing shows in the counts
        wait_for(named)
    time.sleep(1.0)
    return daemon.verdicts(NAME)
