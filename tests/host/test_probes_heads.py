"""Paths longer than one record holds: the beginning travels in a second one."""

import shutil
import stat
from pathlib import Path

import pytest

from tests.host.eyes import Eyes

# A record holds 143 bytes of a path, both together 255.
LONG = 200


def place(folder: Path, length: int) -> Path:
    """A directory so deep that a name of two letters in it has a path of this many bytes."""
    deep = folder
    while length - len(str(deep)) - 3 > 41:
        deep /= "d" * 40
    deep /= "e" * (length - len(str(deep)) - 4)
    deep.mkdir(parents=True)
    assert len(str(deep / "f0")) == length
    return deep


@pytest.mark.parametrize("length", [143, 144, 145, LONG, 255])
def test_a_path_of_two_records_is_told_whole(eyes: Eyes, tmp_path: Path, length: int) -> None:
    path = place(tmp_path, length) / "f0"
    path.touch()
    seen = eyes.do("read", 1, path.parent / "f")
    (told,) = (s for s in seen.sightings if s.kind == "file" and s.item.endswith("f0"))
    assert told.item == str(path)
    assert told.marks == set()
    assert seen.totals["COUNT_OPENS"] == 1
    assert not any(seen.losses.values())


def test_what_even_two_records_do_not_hold_keeps_its_end(eyes: Eyes, tmp_path: Path) -> None:
    path = place(tmp_path, 300) / "f0"
    path.touch()
    (told,) = (s for s in eyes.do("read", 1, path.parent / "f").sightings if s.kind == "file")
    assert told.marks == {"truncated"}
    assert str(path).endswith(told.item)
    assert len(told.item) > LONG


def test_letters_of_several_bytes_survive_the_seam(eyes: Eyes, tmp_path: Path) -> None:
    for shift in range(3):
        deep = tmp_path / ("x" * (shift + 1)) / ("\u20ac" * 40)
        deep.mkdir(parents=True)
        (deep / "f0").touch()
        assert eyes.do("read", 1, deep / "f").items("file") == [str(deep / "f0")]


def test_23_long_paths_are_each_told_whole(eyes: Eyes, tmp_path: Path) -> None:
    deep = place(tmp_path, LONG)
    for number in range(23):
        (deep / f"f{number}").touch()
    told = eyes.do("read", 23, deep / "f").items("file")
    assert told == [str(deep / f"f{number}") for number in range(23)]


def test_a_program_with_a_long_path_is_told_whole(eyes: Eyes, tmp_path: Path) -> None:
    program = place(tmp_path, LONG) / "f0"
    shutil.copy("/bin/true", program)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (told,) = (s for s in eyes.do("execs", 1, program).sightings if s.kind == "exec")
    assert (told.item, told.marks) == (str(program), frozenset())


def test_a_library_with_a_long_path_is_told_whole(eyes: Eyes, tmp_path: Path) -> None:
    library = place(tmp_path, LONG) / "f0"
    library.write_bytes(bytes(4096))
    assert eyes.do("maps", 0, library).items("library")[0] == str(library)


def test_both_names_of_a_rename_are_told_whole(eyes: Eyes, tmp_path: Path) -> None:
    deep = place(tmp_path, LONG)
    for number in range(3):
        (deep / f"n{number}").touch()
    with eyes.changes("rename", deep, 3) as gated:
        gated.tell()
        gated.end()
    changed = [s for s in eyes.seen(gated.number).sightings if s.kind == "write"]
    old = {str(deep / f"n{number}") for number in range(3)}
    new = {str(deep / f"o{number}") for number in range(3)}
    assert {s.item for s in changed if "renamed-from" in s.marks} == old
    assert {s.item for s in changed if "renamed-to" in s.marks} == new
    assert not any("truncated" in s.marks for s in changed)
