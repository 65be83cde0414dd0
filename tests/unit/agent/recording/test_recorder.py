"""The writer behind the loop."""

import threading
from pathlib import Path

import pytest

from agent.recording import frames
from agent.recording.errors import NoRecordingError, RecordingPathError
from agent.recording.recorder import Recorder


def test_what_was_offered_is_read_back_in_order_with_an_end(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "r")
    for at in range(150):
        recorder.offer(lambda at=at: ["n", at])  # type: ignore[misc]
    recorder.end()
    written = recorder.wait()
    records = list(frames.read(tmp_path / "r"))
    assert records == [*(["n", at] for at in range(150)), ["end", {"records": 151}]]
    assert written.records == 151
    assert written.size_bytes == (tmp_path / "r").stat().st_size


def test_what_finds_no_room_is_counted_and_written_into_the_file(tmp_path: Path) -> None:
    gate = threading.Event()

    def slow() -> list[object]:
        gate.wait()
        return ["slow"]

    recorder = Recorder(tmp_path / "r", most_waiting=2)
    recorder.offer(slow)
    while recorder._waiting.qsize():  # until the writer stands at the gate
        pass
    for _ in range(5):
        recorder.offer(lambda: ["more"])
    gate.set()
    recorder.end()
    assert recorder.wait().lost == 3
    records = list(frames.read(tmp_path / "r"))
    assert sum(record[1] for record in records if record[0] == "lost") == 3


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("mine")
    with pytest.raises(RecordingPathError, match="File exists"):
        Recorder(tmp_path / "r")
    assert (tmp_path / "r").read_text() == "mine"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "r").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RecordingPathError):
        Recorder(tmp_path / "r")
    assert not (tmp_path / "elsewhere").exists()


def test_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(frames.MAGIC + b"\x63\x00")
    with pytest.raises(NoRecordingError, match="version 99"):
        list(frames.read(tmp_path / "r"))
