"""What came in is what went on, waits, or was lost by a reason: also in a storm nobody reads."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from probes.loader import Sensor
from tests.host.daemons import Daemon, wait_for
from tests.host.eyes import DEEDS, Gated, build

pytestmark = pytest.mark.timeout(180)

SLOTS = 16_384  # of the ring
FILES = SLOTS + 2003


@dataclass(slots=True)
class Storm:
    """A daemon and a deed it watches."""

    daemon: Daemon
    gated: Gated

    def stage(self, name: str) -> dict[str, Any]:
        """One row of the status."""
        return next(row for row in self.daemon.status()["stages"] if row["stage"] == name)


@pytest.fixture(scope="module")
def storm() -> Iterator[Storm]:
    build(DEEDS)
    daemon = Daemon()
    files = Path(tempfile.mkdtemp(dir="/dev/shm"))
    gated = Gated([DEEDS, "create", str(FILES), f"{files}/"], 1)
    try:
        daemon.configure().start()
        daemon.ask("watch", name="storm", pid=gated.pid)
        yield Storm(daemon, gated)
    finally:
        gated.process.kill()
        gated.process.communicate()
        daemon.close()
        shutil.rmtree(files)


def balanced(stages: list[dict[str, Any]]) -> None:
    for row in stages:
        assert "unexplained" not in row["lost"], row
        if row["in"] is not None:
            gone = row["out"] + sum(row["lost"].values()) + row.get("summarised", 0)
            assert row["in"] == gone + row["pending"], row


def test_every_stage_of_a_calm_daemon_adds_up(storm: Storm) -> None:
    stages = storm.daemon.status()["stages"]
    balanced(stages)
    names = [row["stage"] for row in stages]
    assert names == [
        "kernel", "crowds", "calls", "requests", "marks", "ring", "decode", "items", "window",
        "store", "ledger", "fit",
    ]  # fmt: skip
    assert sum(sum(row["lost"].values()) for row in stages) == 0


def test_a_storm_with_the_daemon_stopped_is_counted_to_the_last_record_and_none_is_lost(
    storm: Storm,
) -> None:
    before = storm.stage("kernel")
    os.kill(storm.daemon.pid, signal.SIGSTOP)
    try:
        storm.gated.tell()
        storm.gated.process.wait(60.0)
        time.sleep(1.0)  # some windows, however quick the storm was
    finally:
        os.kill(storm.daemon.pid, signal.SIGCONT)
    wait_for(lambda: storm.stage("kernel")["in"] >= before["in"] + FILES, 30.0)
    wait_for(lambda: storm.stage("ring")["pending"] == 0, 30.0)
    status = storm.daemon.status()
    balanced(status["stages"])
    rows = {row["stage"]: row for row in status["stages"]}
    assert rows["kernel"]["summarised"] >= FILES - SLOTS
    assert rows["crowds"]["in"] == rows["kernel"]["summarised"]
    assert rows["kernel"]["lost"] == {}
    assert rows["ring"]["out"] == rows["decode"]["in"]
    assert rows["calls"]["in"] >= 2 * FILES
    assert rows["window"]["late"] >= 1


def test_the_next_window_is_whole_again(storm: Storm) -> None:
    time.sleep(1.0)
    before = storm.daemon.status()["losses"]
    time.sleep(1.0)
    assert storm.daemon.status()["losses"] == before


def test_the_table_for_people_says_how_many_were_summarised(storm: Storm) -> None:
    text = storm.daemon.command("status").stdout
    (line,) = [line for line in text.splitlines() if line.startswith("kernel")]
    assert f"{storm.stage('crowds')['in']:,}" in line


def test_a_reader_that_took_records_while_no_daemon_ran_is_counted(storm: Storm) -> None:
    storm.daemon.kill()
    again = Gated([DEEDS, "execs", "23", "/bin/true"], 1)
    again.tell()
    again.end()  # of nobody watched: execs are told all the same
    sensor = Sensor.open(storm.daemon.pins)
    taken = len(sensor.ring.peek())
    sensor.ring.advance()
    sensor.close()
    assert taken >= 23
    storm.daemon.start()
    row = storm.stage("ring")
    assert row["lost"] == {"taken_by_another": taken}
    balanced(storm.daemon.status()["stages"])
