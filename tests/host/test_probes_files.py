"""Files are told once each, by what was done to them, from the kernel's own objects."""

import os
from pathlib import Path

import pytest

from tests.host.eyes import Eyes


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for number in range(17):
        (tmp_path / f"f{number}").touch()
    return tmp_path


def _names(count: int, folder: Path) -> list[str]:
    return [str(folder / f"f{number}") for number in range(count)]


def test_each_of_17_files_read_is_told(eyes: Eyes, files: Path) -> None:
    seen = eyes.do("read", 17, files / "f")
    assert seen.items("file") == _names(17, files)
    assert not seen.items("write")
    assert seen.totals["COUNT_OPENS"] == 17


def test_each_of_17_files_written_is_told(eyes: Eyes, files: Path) -> None:
    seen = eyes.do("write", 17, files / "f")
    assert seen.items("write") == _names(17, files)
    assert not seen.items("file")


def test_each_of_17_files_created_is_told(eyes: Eyes, tmp_path: Path) -> None:
    seen = eyes.do("create", 17, tmp_path / "f")
    assert seen.items("write") == _names(17, tmp_path)
    assert {s.marks for s in seen.sightings if s.kind == "write"} == {frozenset({"create"})}


def test_a_file_is_told_once(eyes: Eyes, files: Path) -> None:
    with eyes.gated("read", 17, files / "f") as gated:
        with eyes.gated("read", 17, files / "f") as again:
            eyes.watch(again.pid, gated.number)
            for each in (gated, again):
                each.tell()
                each.end()
        seen = eyes.seen(gated.number)
    assert len(seen.items("file")) == 17
    assert seen.totals["COUNT_OPENS"] == 34


def test_a_key_taken_back_is_told_again(eyes: Eyes, files: Path) -> None:
    with eyes.gated("read", 1, files / "f") as gated, eyes.gated("read", 1, files / "f") as again:
        eyes.watch(again.pid, gated.number)
        gated.tell()
        gated.end()
        (first,) = (s for s in eyes.seen(gated.number).sightings if s.kind == "file")
        assert eyes.sensor.maps["seen"].delete(first.key)
        again.tell()
        again.end()
    assert len(eyes.seen(gated.number).items("file")) == 2


def test_a_storm_of_files_is_told_by_directory(eyes: Eyes, tmp_path: Path) -> None:
    seen = eyes.do("create", 1009, tmp_path / "f")
    (storm,) = (s for s in seen.sightings if s.kind == "write")
    assert (storm.item, storm.count) == (f"{tmp_path}/*", 1009)


def test_a_path_too_long_keeps_its_end(eyes: Eyes, tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(20):
        deep /= "0123456789"
    deep.mkdir(parents=True)
    seen = eyes.do("create", 1, deep / "last")
    (created,) = (s for s in seen.sightings if s.kind == "write")
    assert created.item.endswith("/0123456789/last0")
    assert created.marks == {"create", "truncated"}


def test_a_link_is_told_as_what_it_leads_to(eyes: Eyes, files: Path) -> None:
    (files / "link0").symlink_to(files / "f3")
    assert eyes.do("read", 1, files / "link").items("file") == [str(files / "f3")]


def test_a_name_that_is_no_text_stays_visible(eyes: Eyes, tmp_path: Path) -> None:
    os.close(os.open(bytes(tmp_path) + b"/\xff0", os.O_CREAT))
    script = "gate()\nopen(sys.argv[1].encode() + b'/\\xff0')"
    with eyes.python(script, str(tmp_path)) as gated:
        gated.tell()
        gated.end()
    assert any(item.endswith("/\\xff0") for item in eyes.seen(gated.number).items("file"))


def test_bytes_are_counted_by_direction(eyes: Eyes, tmp_path: Path) -> None:
    script = """
import os
out = os.open(sys.argv[1] + "/out", os.O_CREAT | os.O_RDWR)
gate()
for _ in range(31): os.write(out, bytes(1009))
for _ in range(29): os.pread(out, 503, 0)
os._exit(0)
"""
    with eyes.python(script, str(tmp_path)) as gated:
        gated.tell()
        gated.end()
    totals = eyes.seen(gated.number).totals
    assert totals["COUNT_WRITE_BYTES"] == 31 * 1009
    assert totals["COUNT_READ_BYTES"] - 29 * 503 == len("go\n")
