"""A library that was put in the place of the packaged one is told from it."""

import hashlib
import os
from pathlib import Path

import pytest

from collectors.installed import Installed, installed


@pytest.fixture
def library(tmp_path: Path) -> Path:
    path = tmp_path / "usr" / "lib" / "libcuda.so.1"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"the driver")
    return path


@pytest.fixture
def lists(tmp_path: Path, library: Path) -> Path:
    where = tmp_path / "info"
    where.mkdir()
    (where / "other.list").write_text("/.\n/usr\n")
    (where / "libcuda1:amd64.list").write_text(f"/.\n{library}\n")
    digest = hashlib.md5(library.read_bytes(), usedforsecurity=False).hexdigest()
    (where / "libcuda1:amd64.md5sums").write_text(f"{digest}  {str(library)[1:]}\n")
    return where


def look(library: Path, lists: Path, path: str = "") -> Installed:
    fd = os.open(library, os.O_RDONLY)
    try:
        return installed(fd, path or str(library), lists)
    finally:
        os.close(fd)


def test_one_that_is_as_it_was_installed(library: Path, lists: Path) -> None:
    assert look(library, lists) == Installed("libcuda1")
    assert look(library, lists).words == "as libcuda1 has it"


def test_one_that_was_written_over(library: Path, lists: Path) -> None:
    library.write_bytes(b"another one")
    assert look(library, lists) == Installed("libcuda1", changed=True)
    assert look(library, lists).words == "not as libcuda1 installed it"


def test_one_that_no_package_brought_is_nothing_bad(library: Path, lists: Path) -> None:
    (lists / "libcuda1:amd64.list").unlink()
    assert look(library, lists) == Installed("")


def test_one_of_another_root_is_of_no_package_here(library: Path, lists: Path) -> None:
    other = library.with_name("copy")
    other.write_bytes(b"of a container")
    assert look(other, lists, str(library)) == Installed("")
    assert look(other, lists, "/nowhere/at/all") == Installed("")


def test_a_package_without_digests_is_named(library: Path, lists: Path) -> None:
    (lists / "libcuda1:amd64.md5sums").unlink()
    assert look(library, lists) == Installed("libcuda1")


@pytest.mark.skipif(not Path("/var/lib/dpkg/info").is_dir(), reason="this host has no dpkg")
def test_the_hosts_own_lists_are_read() -> None:
    path = Path("/usr/bin/dpkg")
    assert look(path, Path("/var/lib/dpkg/info")) == Installed("dpkg")
