"""What does not fit is counted, and what does is whole."""

from pathlib import Path

import pytest

from tests.host.eyes import Eyes


@pytest.fixture
def storm(eyes: Eyes, tmp_path: Path) -> Path:
    """Enough first-seen files to fill the ring while nobody reads."""
    return tmp_path / "f"


def test_a_full_ring_counts_every_record_it_refuses(eyes: Eyes, storm: Path) -> None:
    eyes.seen(0)
    room = eyes.sensor.maps["ring"].max_entries // 256
    files = room + 1013
    before = eyes.records.reader.read
    with eyes.gated("create", files, storm) as gated:
        gated.tell()
        gated.end()
        seen = eyes.seen(gated.number)
    told = sum(s.count for s in seen.sightings if s.kind == "write")
    assert seen.losses["LOSS_RING_FULL"] >= 1013
    assert told + seen.losses["LOSS_RING_FULL"] == files + 1  # and its exit
    assert eyes.records.reader.read - before <= room


def test_after_a_storm_nothing_is_lost_again(eyes: Eyes, tmp_path: Path) -> None:
    seen = eyes.do("create", 17, tmp_path / "f")
    assert seen.losses.total() == 0
    assert len(seen.items("write")) == 17


def test_what_the_kernel_submitted_is_what_is_read(eyes: Eyes, tmp_path: Path) -> None:
    eyes.seen(0)
    kind = eyes.sensor.schema.enum("event_kind")["EVENT_FILE"]
    submitted = int(eyes.sensor.maps["submitted"].array()[kind])
    seen = eyes.do("create", 211, tmp_path / "f")
    told = sum(s.count for s in seen.sightings if s.kind in {"file", "write"})
    assert int(eyes.sensor.maps["submitted"].array()[kind]) - submitted >= told == 211
