"""A file as the kernel numbers it."""

import os
from pathlib import Path

from collectors.numbers import mount_devices, number_of
from collectors.procfs import ReadCounts


def test_a_plain_file_has_the_inode_that_stat_tells_on_its_mounts_device(tmp_path: Path) -> None:
    counts = ReadCounts()
    path = tmp_path / "plain"
    path.touch()
    found = number_of(str(path), mount_devices(os.getpid(), counts), counts)
    assert found is not None
    assert found[1] == path.stat().st_ino
    assert counts.failed == 0


def test_what_is_not_there_has_none(tmp_path: Path) -> None:
    counts = ReadCounts()
    devices = mount_devices(os.getpid(), counts)
    assert number_of(str(tmp_path / "absent"), devices, counts) is None


def test_a_mount_that_nobody_told_of_has_no_device(tmp_path: Path) -> None:
    assert number_of(str(tmp_path), {}, ReadCounts()) is None


def test_a_process_that_is_gone_sees_no_mounts() -> None:
    assert mount_devices(2**30, ReadCounts()) == {}
