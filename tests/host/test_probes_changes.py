"""Each change of a name or an attribute is told once, by its full path, and counted each time."""

import os
from pathlib import Path

import pytest

from collectors.sightings import Sighting
from tests.host.eyes import Eyes, Seen

COUNT = 13


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for number in range(COUNT):
        (tmp_path / f"n{number}").touch()
    return tmp_path


def changed(eyes: Eyes, deed: str, where: Path, count: int = COUNT) -> Seen:
    with eyes.changes(deed, where, count) as gated:
        gated.tell()
        gated.end()
    return eyes.seen(gated.number)


def of(seen: Seen, mark: str) -> list[Sighting]:
    return [s for s in seen.sightings if s.kind == "write" and mark in s.marks]


def names(seen: Seen, mark: str) -> list[str]:
    return sorted(s.item for s in of(seen, mark))


def paths(folder: Path, letter: str) -> list[str]:
    return sorted(str(folder / f"{letter}{number}") for number in range(COUNT))


def test_each_of_13_renames_is_told_by_both_names(eyes: Eyes, files: Path) -> None:
    seen = changed(eyes, "rename", files)
    assert names(seen, "renamed-from") == paths(files, "n")
    assert names(seen, "renamed-to") == paths(files, "o")
    assert {s.other for s in of(seen, "renamed-from")} == set(paths(files, "o"))
    assert {s.other for s in of(seen, "renamed-to")} == set(paths(files, "n"))
    assert seen.totals["COUNT_CHANGES"] == COUNT
    assert len({s.time_ns for s in of(seen, "renamed-to")}) == COUNT


def test_a_rename_made_often_is_told_once_and_counted_each_time(eyes: Eyes, files: Path) -> None:
    seen = changed(eyes, "again", files, 101)
    assert len(of(seen, "renamed-from")) == 2  # there and back
    assert seen.totals["COUNT_CHANGES"] == 101


@pytest.mark.parametrize(
    ("deed", "mark", "letter"),
    [
        ("link", "linked-to", "o"),
        ("link", "linked-from", "n"),
        ("symlink", "symlinked", "o"),
        ("remove", "removed", "n"),
        ("directory", "made-directory", "o"),
        ("directory", "removed-directory", "o"),
        ("node", "made-node", "o"),
        ("mode", "mode", "n"),
        ("owner", "owner", "n"),
        ("truncate", "truncated-to", "n"),
        ("times", "times", "n"),
    ],
)
def test_each_of_13_changes_is_told_by_its_full_path(
    eyes: Eyes, files: Path, deed: str, mark: str, letter: str
) -> None:
    seen = changed(eyes, deed, files)
    assert names(seen, mark) == paths(files, letter)
    assert not seen.losses["LOSS_READ_FAULT"]


def test_each_open_that_was_not_allowed_is_told_by_its_path_and_is_no_change(
    eyes: Eyes, files: Path
) -> None:
    files.chmod(0o755)
    with eyes.changes("refused", files, COUNT) as gated:
        gated.tell()
        output, errors = gated.process.communicate(timeout=20)
    assert gated.process.returncode == 0, (output, errors)
    seen = eyes.seen(gated.number)
    tried = {
        kind: sorted(Path(s.item) for s in seen.sightings if s.kind == kind and kind in s.marks)
        for kind in ("refused-open", "refused-write")
    }
    assert tried["refused-open"] == sorted(files / f"n{n}" for n in range(COUNT) if n % 4 in {0, 2})
    assert tried["refused-write"] == sorted(files / f"n{n}" for n in range(COUNT) if n % 2)
    assert not [s for s in seen.sightings if s.kind == "file" and Path(s.item).parent == files]
    assert seen.totals["COUNT_CHANGES"] == COUNT  # the changes of mode
    assert not seen.losses["LOSS_READ_FAULT"]


def test_what_a_link_leads_to_is_told_as_it_was_given(eyes: Eyes, files: Path) -> None:
    assert {s.other for s in of(changed(eyes, "symlink", files), "symlinked")} == {
        f"n{number}" for number in range(COUNT)
    }


def test_new_rights_are_told_by_the_mode(eyes: Eyes, files: Path) -> None:
    seen = changed(eyes, "mode", files, 3)
    by_name = {Path(s.item).name: s for s in of(seen, "mode")}
    assert by_name["n0"].other == "0755"
    assert "executable" in by_name["n0"].marks
    assert {"executable", "set-id"} <= by_name["n1"].marks
    assert not {"executable", "set-id"} & by_name["n2"].marks


def test_what_a_descriptor_names_is_the_kernel_s_and_what_a_path_names_the_caller_s(
    eyes: Eyes, files: Path
) -> None:
    seen = changed(eyes, "mode", files, 2)
    given, own = sorted(of(seen, "mode"), key=lambda s: s.item)
    assert "given" in given.marks
    assert "given" not in own.marks
    assert own.inode[1] == (files / "n1").stat().st_ino


def test_a_new_owner_and_length_are_told(eyes: Eyes, files: Path) -> None:
    assert {s.other for s in of(changed(eyes, "owner", files), "owner")} == {"7"}
    assert {s.other for s in of(changed(eyes, "truncate", files), "truncated-to")} == {"31"}


def supports_trusted(path: Path) -> bool:
    try:
        os.setxattr(path, "trusted.probe", b"1")
        os.removexattr(path, "trusted.probe")
    except OSError:
        return False
    return True


def test_attributes_that_decide_about_rights_are_marked(eyes: Eyes, files: Path) -> None:
    if not supports_trusted(files / "n0"):
        pytest.skip("this filesystem, or this user namespace, has no trusted.* attributes")
    seen = changed(eyes, "attribute", files)
    assert names(seen, "security-attribute") == paths(files, "n")
    assert seen.totals["COUNT_CHANGES"] == 2 * COUNT


def test_a_file_made_unchangeable_is_told(eyes: Eyes, files: Path) -> None:
    with eyes.changes("flags", files, 1) as gated:
        gated.tell()
        output, errors = gated.process.communicate(timeout=20)
    if gated.process.returncode:
        pytest.skip(f"this filesystem keeps no such flags: {errors or output}")
    seen = eyes.seen(gated.number)
    assert "immutable" in of(seen, "flags")[0].marks
    assert of(seen, "flags")[0].item == str(files / "n0")


def test_a_mount_is_told_by_where_it_is(eyes: Eyes, tmp_path: Path) -> None:
    (tmp_path / "n0").mkdir()
    seen = changed(eyes, "mount", tmp_path, 1)
    assert names(seen, "mounted") == [str(tmp_path / "n0")]
    assert names(seen, "unmounted") == [str(tmp_path / "n0")]
    assert {"165", "166"} <= set(seen.items("syscall"))


def test_a_name_too_long_keeps_its_end(eyes: Eyes, tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(20):
        deep /= "0123456789"
    deep.mkdir(parents=True)
    (deep / "n0").touch()
    (told,) = of(changed(eyes, "rename", deep, 1), "renamed-to")
    assert told.item.endswith("/0123456789/o0")
    assert {"truncated", "given"} <= told.marks


def test_a_change_taken_back_is_told_again(eyes: Eyes, files: Path) -> None:
    with eyes.changes("again", files, 4) as gated:
        first = eyes.changes("again", files, 4)
        gated.tell()
        gated.end()
        seen = eyes.seen(gated.number)
        for sighting in of(seen, "renamed-from"):
            assert eyes.sensor.maps["seen"].delete(sighting.key)
        with first as again:
            eyes.watch(again.pid, gated.number)
            again.tell()
            again.end()
    assert len(of(eyes.seen(gated.number), "renamed-from")) == 4


def test_a_refused_change_is_not_told(eyes: Eyes, tmp_path: Path) -> None:
    script = """
import os
gate()
try: os.rename(sys.argv[1] + "/absent", sys.argv[1] + "/other")
except OSError: pass
os._exit(0)
"""
    with eyes.python(script, str(tmp_path)) as gated:
        gated.tell()
        gated.end()
    seen = eyes.seen(gated.number)
    assert not of(seen, "renamed-to")
    assert not seen.totals["COUNT_CHANGES"]


def test_a_storm_of_changes_is_told_by_directory(eyes: Eyes, tmp_path: Path) -> None:
    for number in range(1009):
        (tmp_path / f"n{number}").touch()
    seen = changed(eyes, "remove", tmp_path, 1009)
    (storm,) = of(seen, "removed")
    assert (storm.item, storm.count) == (f"{tmp_path}/*", 1009)


def test_a_name_of_text_only_is_made_plain(eyes: Eyes, files: Path) -> None:
    script = """
import os
os.chdir(sys.argv[1])
gate()
os.rename("./n0", ".//sub/../o0")
os._exit(0)
"""
    (files / "sub").mkdir()
    with eyes.python(script, str(files)) as gated:
        gated.tell()
        gated.end()
    (told,) = of(eyes.seen(gated.number), "renamed-to")
    assert told.item == str(files / "o0")
    assert told.given == f"{files}/.//sub/../o0"


def test_each_change_through_a_ring_is_told(eyes: Eyes, tmp_path: Path) -> None:
    prefix = tmp_path / "r"
    with eyes.rings(prefix, 0, "changes") as gated:
        gated.tell()
        gated.end()
    seen = eyes.seen(gated.number)
    told = {
        mark: [Path(s.item).name for s in seen.sightings if mark in s.marks]
        for mark in (
            *("renamed-from", "renamed-to", "linked-to", "symlinked", "removed"),
            *("made-directory", "removed-directory", "attribute"),
        )
    }
    assert told == {
        "renamed-from": ["r-a"],
        "renamed-to": ["r-b"],
        "linked-to": ["r-c"],
        "symlinked": ["r-d"],
        "removed": ["r-c"],
        "made-directory": ["r-c"],
        "removed-directory": ["r-c"],
        "attribute": ["r-a"],  # by descriptor and by path, and the same file
    }
    assert all("io_uring" in s.marks for s in seen.sightings if "renamed-to" in s.marks)
    assert not any("given" in s.marks for s in seen.sightings if "renamed-to" in s.marks)
