from pathlib import Path

import pytest

from agent.response.cgroups import common_cgroup, mount_point

HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
"""


def test_the_second_version_is_found_beside_the_first() -> None:
    assert mount_point(HYBRID) == Path("/sys/fs/cgroup/unified")


def test_without_the_second_version_there_is_no_mount_point() -> None:
    assert mount_point(HYBRID.splitlines()[0]) is None


def test_an_escaped_blank_in_the_path_is_read() -> None:
    assert mount_point(r"1 2 0:3 / /my\040cgroups rw - cgroup2 none rw") == Path("/my cgroups")


@pytest.mark.parametrize(
    ("paths", "common"),
    [
        ({"/a.slice/b", "/a.slice/b/c"}, "/a.slice/b"),
        ({"/a.slice/b", "/a.slice/bc"}, "/a.slice"),
        ({"/a", "/b"}, None),
        ({"/"}, None),
        ({"/../a"}, None),
        (set(), None),
    ],
)
def test_the_common_cgroup_is_the_smallest_below_the_root(
    paths: set[str], common: str | None
) -> None:
    found = common_cgroup(Path("/mount"), paths)
    assert (found.path if found else None) == common
