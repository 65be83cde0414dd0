"""A later object with another interface takes over under load, and says what it could not carry."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from collectors.counters import Counters
from collectors.records import Records
from probes.loader import Sensor, digest
from probes.schema import load
from tests.host.eyes import DEEDS, Eyes, Gated
from tests.host.upgraded import build

WORKLOAD = 3
GETPPID = 110
PACED = 6007
GAP_MS = 1000.0


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("later"))


@contextmanager
def watched(sensor: Sensor, *words: str) -> Iterator[Gated]:
    gated = Gated([DEEDS, *words], WORKLOAD)
    entry = np.zeros(1, sensor.schema.dtype("member"))
    entry["workload"] = WORKLOAD
    sensor.maps["members"].set(gated.pid.to_bytes(4, "little"), entry.tobytes())
    sensor.adopt()
    try:
        yield gated
    finally:
        gated.process.kill()
        gated.process.communicate()


def calls(counters: Counters) -> tuple[int, int]:
    """Of the workload since the last reading: from the totals, from the sequences."""
    counts = counters.read()
    counters.keep()
    mine = counts.grams[counts.grams["workload"] == WORKLOAD]
    return int(counts.totals[WORKLOAD, 0]), int(mine["count"].sum())


def test_the_later_object_is_another(later: Path) -> None:
    assert "COUNT_LATER" in load(later).enum("counter")
    assert load(later).dtype("member").itemsize == 16


def test_an_idle_hand_over_loses_no_count(
    eyes: Eyes, own_pins: Path, tmp_path: Path, later: Path
) -> None:
    sensor = Sensor.open(own_pins)
    Counters(sensor, tmp_path)
    with watched(sensor, "calls", "1009") as gated:
        gated.tell()
        gated.end()
    sensor.close()
    over = Sensor.open(own_pins, later)
    assert (own_pins / "before" / "totals").exists()
    totals, sequences = calls(Counters(over, tmp_path))
    over.let_go_before(told=True)
    assert not (own_pins / "before").exists()
    assert totals == sequences - 1 == 1 + 1009
    over.close()
    again = Sensor.open(own_pins, later)
    assert again.resumed
    assert digest(later) in (again.maps["meta"].get(bytes(4)) or b"")
    again.close()


def test_members_are_carried_and_seen_by_the_later_object(
    eyes: Eyes, own_pins: Path, tmp_path: Path, later: Path
) -> None:
    sensor = Sensor.open(own_pins)
    with watched(sensor, "calls", "503") as gated:
        sensor.close()
        over = Sensor.open(own_pins, later)
        assert over.handover is not None
        assert over.handover.gap_ms < GAP_MS
        assert {"tasks", "members", "totals"} <= set(over.handover.changed)
        assert "contained" not in over.handover.changed
        assert any("the last six calls" in note for note in over.notes)
        counters = Counters(over, tmp_path)
        value = over.maps["members"].get(gated.pid.to_bytes(4, "little")) or b""
        assert np.frombuffer(value, over.schema.dtype("member"))["workload"][0] == WORKLOAD
        gated.tell()
        gated.end()
        totals, _ = calls(counters)
        assert totals == 1 + 503
        over.close()


def test_under_load_the_gap_is_short_and_nothing_is_counted_twice(
    eyes: Eyes, own_pins: Path, tmp_path: Path, later: Path
) -> None:
    sensor = Sensor.open(own_pins)
    Counters(sensor, tmp_path)
    with watched(sensor, "paced", str(PACED), "1000") as gated:
        sensor.close()
        began_s = time.monotonic()
        gated.tell()
        time.sleep(0.5)
        over = Sensor.open(own_pins, later)
        assert gated.process.poll() is None, "the deed ended before the hand-over did"
        gated.process.wait(60.0)
        each_s = (time.monotonic() - began_s) / PACED
        counts = Counters(over, tmp_path).read()
        over.close()
    mine = counts.grams[counts.grams["workload"] == WORKLOAD]
    made = int(mine["count"][(mine["word"] & 511) == GETPPID + 1].sum())
    assert made <= PACED
    assert (PACED - made) * each_s < GAP_MS / 1000, f"{PACED - made} of {PACED} calls unseen"


def test_records_of_the_earlier_layout_are_read_in_it(
    eyes: Eyes, own_pins: Path, later: Path
) -> None:
    sensor = Sensor.open(own_pins)
    with watched(sensor, "execs", "23", "/bin/true") as gated:
        gated.tell()
        gated.end()
    sensor.close()
    over = Sensor.open(own_pins, later)
    assert over.before is not None
    assert over.before.ring is not None
    sightings = Records(over.before.schema).feed(over.before.ring.peek())
    mine = [s.item for s in sightings if (s.kind, s.workload) == ("exec", WORKLOAD)]
    assert len(mine) == 23
    assert {Path(item).name for item in mine} == {"true"}
    assert over.ring.waiting == 0 or over.ring.peek().headers["kind"].max() < 64
    over.close()


def test_who_is_contained_stays_so(own_pins: Path, later: Path) -> None:
    sensor = Sensor.open(own_pins)
    entry = np.zeros(1, sensor.schema.dtype("containment"))
    entry["level"] = 1
    sensor.maps["contained"].set(WORKLOAD.to_bytes(4, "little"), entry.tobytes())
    before = sensor.maps["contained"].id
    sensor.close()
    over = Sensor.open(own_pins, later)
    assert over.maps["contained"].id == before
    assert over.maps["contained"].get(WORKLOAD.to_bytes(4, "little")) == entry.tobytes()
    over.close()


def test_a_later_object_that_the_kernel_refuses_changes_nothing(
    own_pins: Path, tmp_path: Path
) -> None:
    sensor = Sensor.open(own_pins)
    before = {name: each.id for name, each in sensor.maps.items()}
    links = sensor.links()
    sensor.close()
    broken = tmp_path / "broken.bpf.o"
    broken.write_bytes(b"\0" * 64)
    with pytest.raises(Exception, match="broken"):
        Sensor.open(own_pins, broken)
    again = Sensor.open(own_pins)
    assert again.resumed
    assert again.links() == links
    assert {name: each.id for name, each in again.maps.items()} == before
    again.close()
