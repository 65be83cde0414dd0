"""The probes outlive whoever loaded them, and hand over without a gap."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from collectors.counters import Counters
from probes.errors import ProbeError
from probes.holding import LINKS
from probes.loader import OBJECT, Sensor, digest, is_guard, remove
from probes.maps import BpfMap
from probes.trial import missing_fields, probe_capabilities
from tests.host.eyes import DEEDS, Eyes, Gated

GETPPID = 110
DAEMON = """
import sys, time
from pathlib import Path
from probes.loader import Sensor
from collectors.counters import Counters
sensor = Sensor.open(Path(sys.argv[1]))
counters = Counters(sensor, Path(sys.argv[2]))
print("ready", flush=True)
for _ in sys.stdin:
    told = int(counters.read().grams["count"].sum())
    counters.keep()
    print(told, flush=True)
"""


def test_pins_found_are_taken_up_as_they_are(eyes: Eyes) -> None:
    again = Sensor.open(eyes.sensor.pins)
    assert again.resumed
    assert {name: each.id for name, each in again.maps.items()} == {
        name: each.id for name, each in eyes.sensor.maps.items()
    }
    again.close()


def _watched(sensor: Sensor, *words: str) -> Gated:
    gated = Gated([DEEDS, *words], 1)
    entry = np.zeros(1, sensor.schema.dtype("member"))
    entry["workload"] = 1
    sensor.maps["members"].set(gated.pid.to_bytes(4, "little"), entry.tobytes())
    sensor.adopt()
    return gated


def test_a_killed_daemon_loses_no_count_and_tells_none_twice(
    eyes: Eyes, own_pins: Path, tmp_path: Path
) -> None:
    daemon = Gated([sys.executable, "-c", DAEMON, own_pins, tmp_path], 0)
    sensor = Sensor.open(own_pins)
    first, second = _watched(sensor, "calls", "1009"), _watched(sensor, "calls", "503")
    first.tell()
    first.end()
    daemon.tell()
    told = int(daemon.hear())
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.process.communicate()
    second.tell()
    second.end()
    counts = Counters(sensor, tmp_path).read()
    sensor.close()
    assert told == 1 + 1009 + 1
    assert int(counts.grams["count"].sum()) == 1 + 503 + 1


def test_records_not_taken_by_a_killed_reader_are_there_for_the_next(
    eyes: Eyes, own_pins: Path
) -> None:
    sensor = Sensor.open(own_pins)
    gated = _watched(sensor, "execs", "23", "/bin/true")
    gated.tell()
    gated.end()
    before = sensor.ring.peek().raw  # read, and not advanced: the reader died here
    sensor.close()
    again = Sensor.open(own_pins)
    after = again.ring.peek().raw
    again.close()
    assert len(before) >= 23
    assert np.array_equal(after[: len(before)], before)


def test_another_object_takes_over_and_keeps_the_maps(own_pins: Path, tmp_path: Path) -> None:
    sensor = Sensor.open(own_pins)
    gated = _watched(sensor, "walk")
    before = {name: each.id for name, each in sensor.maps.items()}
    sensor.close()
    changed = tmp_path / "changed.bpf.o"
    changed.write_bytes(OBJECT.read_bytes() + b"\0")
    try:
        over = Sensor.open(own_pins, changed)
        assert not over.resumed
        assert not over.notes
        assert {name: each.id for name, each in over.maps.items()} == before
        assert over.maps["members"].get(gated.pid.to_bytes(4, "little")) is not None
        stored = over.maps["meta"].get(bytes(4)) or b""
        assert digest(changed) in stored
        over.close()
    finally:
        gated.process.kill()
        gated.process.communicate()


def test_a_missing_link_is_put_back(own_pins: Path) -> None:
    sensor = Sensor.open(own_pins)
    links = sensor.links()
    sensor.close()
    (own_pins / LINKS / "on_sys_exit").unlink()
    again = Sensor.open(own_pins)
    assert not again.resumed
    assert again.links() == links
    again.close()


def test_what_is_removed_leaves_nothing_attached(own_pins: Path) -> None:
    Sensor.open(own_pins).close()
    remove(own_pins)
    assert not own_pins.exists()


def test_an_object_that_is_not_built_is_named(own_pins: Path) -> None:
    with pytest.raises(ProbeError, match="make build"):
        Sensor.open(own_pins, Path("/nonexistent.bpf.o"))


def test_a_map_that_is_not_there_is_named(own_pins: Path) -> None:
    with pytest.raises(ProbeError, match="nothing-here"):
        BpfMap.pinned(own_pins, "nothing-here")


def test_every_observing_program_is_taken_by_this_kernel() -> None:
    answers = {c.program: c.works for c in probe_capabilities() if not is_guard(c.program)}
    assert all(answers.values()), answers


def test_the_verifier_says_how_much_of_each_program_it_processed() -> None:
    for each in probe_capabilities():
        assert each.works == (0 < each.instructions < 1_000_000), each


def test_every_field_that_the_probes_read_is_in_this_kernel() -> None:
    assert missing_fields() == ()


def test_a_tracepoint_that_was_renamed_is_attached_by_one_of_its_names(eyes: Eyes) -> None:
    submissions = {"on_ring_submit", "on_ring_submit_sqe"}
    assert len(submissions & set(eyes.sensor.links())) == 1
