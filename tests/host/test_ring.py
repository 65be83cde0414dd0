"""What does not fit is counted, and what does is whole."""

from pathlib import Path

from tests.host.eyes import Eyes


def test_a_full_ring_counts_every_record_it_refuses(eyes: Eyes, tmp_path: Path) -> None:
    """As many workloads as together may fill it, each within its pace, while nobody reads."""
    eyes.seen(0)
    room = eyes.sensor.maps["ring"].max_entries // 256
    files = eyes.sensor.schema.limit("PACE_BURST") - 3
    numbers = []
    before = eyes.records.reader.read
    for turn in range(room // files + 2):
        with eyes.gated("create", files, tmp_path / f"{turn}-") as gated:
            gated.tell()
            gated.end()
            numbers.append(gated.number)
    seen = [eyes.seen(number) for number in numbers]
    lost = sum(each.losses["LOSS_RING_FULL"] for each in seen)
    told = sum(s.count for each in seen for s in each.sightings if s.kind in {"write", "exit"})
    made = len(numbers) * (files + 1)  # and its exit
    assert lost >= made - room
    assert told + lost == made
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
