"""A group's readings are a workload's only where it has the group to itself."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from collectors.cgroups import CgroupReader
from collectors.own_cgroup import OwnCgroup

SECOND = 1_000_000_000


@dataclass
class Tree:
    """A unified tree and a /proc, both small."""

    at: Path

    @property
    def group(self) -> Path:
        return self.at / "cgroup" / "a.service"

    def put(self, pid: int, group: str = "/a.service", ppid: int = 1) -> None:
        proc = self.at / "proc" / str(pid)
        proc.mkdir(parents=True)
        (proc / "cgroup").write_text(f"0::{group}\n")
        (proc / "stat").write_text(f"{pid} (x) S {ppid} 1 1 0 -1 0\n")
        folder = self.at / "cgroup" / group.strip("/")
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "cgroup.procs").open("a") as file:
            file.write(f"{pid}\n")

    def own(self) -> OwnCgroup:
        return OwnCgroup(str(self.at / "proc"), CgroupReader(self.at / "cgroup"))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    tree.put(10)
    tree.put(11, ppid=10)
    (tree.group / "memory.current").write_text("4096\n")
    (tree.group / "cpu.pressure").write_text("some avg10=2.50 avg60=0.00 avg300=0.00 total=7\n")
    return tree


def test_a_group_of_its_own_is_read(tree: Tree) -> None:
    readings = {"cgroup_memory_bytes": 4096.0, "cpu_pressure_some": 2.5}
    assert tree.own().read([10, 11], SECOND) == readings


def test_what_the_host_does_not_have_is_absent(tree: Tree) -> None:
    (tree.group / "cpu.pressure").unlink()
    assert "cpu_pressure_some" not in tree.own().read([10, 11], SECOND)


def test_a_group_with_a_stranger_in_it_is_not_its_own(tree: Tree) -> None:
    tree.put(99)
    assert tree.own().read([10, 11], SECOND) == {}


def test_a_group_with_a_stranger_below_it_is_not_its_own(tree: Tree) -> None:
    tree.put(99, "/a.service/below")
    assert tree.own().read([10, 11], SECOND) == {}


def test_a_group_that_holds_only_some_of_it_is_not_its_own(tree: Tree) -> None:
    tree.put(12, "/b.service")
    assert tree.own().read([10, 11, 12], SECOND) == {}


def test_a_child_that_no_scan_has_seen_is_no_stranger(tree: Tree) -> None:
    tree.put(13, ppid=11)
    assert tree.own().read([10, 11], SECOND)


def test_a_process_that_has_gone_is_not_outside(tree: Tree) -> None:
    assert tree.own().read([10, 11, 14], SECOND)


def test_the_root_is_nobodys_own(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.put(10, "/")
    assert tree.own().read([10], SECOND) == {}


def test_readings_are_repeated_until_the_kernel_renews_them(tree: Tree) -> None:
    own = tree.own()
    own.read([10, 11], SECOND)
    (tree.group / "memory.current").write_text("8192\n")
    assert own.read([10, 11], 2 * SECOND)["cgroup_memory_bytes"] == 4096
    assert own.read([10, 11], 4 * SECOND)["cgroup_memory_bytes"] == 8192


def test_a_stranger_that_comes_later_ends_the_readings(tree: Tree) -> None:
    own = tree.own()
    assert own.read([10, 11], SECOND)
    tree.put(99)
    assert own.read([10, 11], 60 * SECOND) == {}
