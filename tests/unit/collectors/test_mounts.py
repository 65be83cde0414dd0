"""Paths of other mount namespaces and roots as the host has them; what is unknown stays so."""

from pathlib import Path
from typing import Any

import pytest

from collectors.mounts import Mounts, covering, followed, parse, shown
from collectors.sightings import Sighting

HOST = """
21 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw
22 21 0:20 / /proc rw - proc proc rw
23 21 254:2 / /srv rw - ext4 /dev/vdb rw
24 21 0:50 / /var/lib/docker/overlay2/c1/merged rw - overlay overlay rw,lowerdir=/l,upperdir=/u
25 21 0:44 / /mnt/with\\040space rw - tmpfs tmpfs rw
"""
CONTAINER = """
90 80 0:50 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/u
91 90 0:99 / /proc rw - proc proc rw
92 90 254:1 /root/.ssh /data ro - ext4 /dev/vda1 rw
93 90 254:2 /models /models ro - ext4 /dev/vdb rw
94 90 0:77 / /tmp rw - tmpfs tmpfs rw
95 90 0:44 /sub /with rw - tmpfs tmpfs rw
"""
NOT_SHOWN = "90 80 0:51 / / rw - overlay overlay rw,lowerdir={0}/low1:{0}/low2,upperdir={0}/up\n"
TICK_NS = 10_000_000


class Host:
    """A made-up /proc: who sees what."""

    def __init__(self, at: Path) -> None:
        self.at = at
        self.add("self", "mnt:[1]", HOST)

    def add(self, pid: str, namespace: str, mounts: str, root: str = "/") -> None:
        where = self.at / pid
        (where / "ns").mkdir(parents=True)
        (where / "ns" / "mnt").symlink_to(namespace)
        (where / "root").symlink_to(root)
        (where / "mountinfo").write_text(mounts.lstrip())
        ticks = " ".join(["S", "1", *["0"] * 17, "7", "0", "0"])
        (where / "stat").write_text(f"{pid} (server) {ticks}\n")

    def remove(self, pid: str) -> None:
        (self.at / pid).rename(self.at / f"gone-{pid}")


@pytest.fixture
def proc(tmp_path: Path) -> Host:
    return Host(tmp_path)


def sighting(item: str, pid: int = 9, **more: Any) -> Sighting:  # noqa: ANN401 - its fields
    facts: dict[str, Any] = {
        "kind": "file",
        "start_ns": 7 * TICK_NS,
        "time_ns": 1,
        "cgroup": 5,
    } | more
    return Sighting(item=item, workload=1, role=0, pid=pid, ppid=1, uid=0, comm="x", **facts)


def told(proc: Host, *sightings: Sighting) -> list[str]:
    return [one.host_path for one in Mounts(str(proc.at)).complete(sightings)]


def test_who_sees_what_we_see_has_no_other_path(proc: Host) -> None:
    proc.add("9", "mnt:[1]", HOST)
    assert told(proc, sighting("/etc/passwd")) == [""]


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ("/data/id_rsa", "/root/.ssh/id_rsa"),
        ("/data", "/root/.ssh"),
        ("/models/m/model.onnx", "/srv/models/m/model.onnx"),
        ("/app/x.py", "/var/lib/docker/overlay2/c1/merged/app/x.py"),
        ("/with/x", "/mnt/with space/sub/x"),
        ("/tmp/x", ""),  # a filesystem that we do not see
        ("/proc/self/maps", ""),
        ("/database/x", "/var/lib/docker/overlay2/c1/merged/database/x"),
    ],
)
def test_a_container_s_path_is_followed_to_the_host_s(
    proc: Host, inside: str, outside: str
) -> None:
    proc.add("9", "mnt:[2]", CONTAINER)
    assert told(proc, sighting(inside)) == [outside]


def test_a_root_directory_of_its_own_is_put_in_front(proc: Host) -> None:
    proc.add("9", "mnt:[1]", "", root="/srv/jail")
    assert told(proc, sighting("/etc/shadow")) == ["/srv/jail/etc/shadow"]


def test_a_layer_is_asked_where_the_whole_is_not_to_be_seen(proc: Host, tmp_path: Path) -> None:
    for layer in ("up", "low1", "low2"):
        (tmp_path / layer / "app").mkdir(parents=True)
    (tmp_path / "low2/app/code.py").touch()
    proc.add("9", "mnt:[2]", NOT_SHOWN.format(tmp_path))
    assert told(
        proc,
        sighting("/app/code.py"),
        sighting("/app/new", kind="write"),
        sighting("/nowhere/x", kind="write"),
        sighting("/app/absent"),
    ) == [f"{tmp_path}/low2/app/code.py", f"{tmp_path}/up/app/new", "", ""]


def test_one_that_is_gone_saw_what_its_siblings_see(proc: Host) -> None:
    proc.add("9", "mnt:[2]", CONTAINER)
    mounts = Mounts(str(proc.at))
    mounts.complete([sighting("/x")])
    (gone,) = mounts.complete([sighting("/data/k", pid=10)])
    assert gone.host_path == "/root/.ssh/k"
    (stranger,) = mounts.complete([sighting("/data/k", pid=10, cgroup=6)])
    assert stranger.host_path == ""


def test_where_siblings_see_different_things_nothing_is_said_of_the_gone(proc: Host) -> None:
    proc.add("9", "mnt:[2]", CONTAINER)
    proc.add("8", "mnt:[1]", HOST)
    mounts = Mounts(str(proc.at))
    mounts.complete([sighting("/x"), sighting("/x", pid=8)])
    assert mounts.complete([sighting("/data/k", pid=10)])[0].host_path == ""


def test_a_number_that_is_another_s_now_tells_nothing(proc: Host) -> None:
    proc.add("9", "mnt:[2]", CONTAINER)
    assert told(proc, sighting("/data/k", start_ns=99 * TICK_NS)) == [""]


def test_who_leaves_its_namespace_is_looked_at_again(proc: Host) -> None:
    proc.add("9", "mnt:[1]", HOST)
    mounts = Mounts(str(proc.at))
    mounts.complete([sighting("/x")])
    proc.remove("9")
    proc.add("9", "mnt:[2]", CONTAINER)
    assert mounts.complete([sighting("/data/k", time_ns=2)])[0].host_path == ""
    moved = sighting("272", kind="syscall", time_ns=3)
    assert mounts.complete([moved, sighting("/data/k", time_ns=4)])[1].host_path == ("/root/.ssh/k")


def test_what_is_known_stays_bounded(proc: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.mounts._MOST_PROCESSES", 3)
    mounts = Mounts(str(proc.at))
    for pid in range(10, 20):
        proc.add(str(pid), "mnt:[1]", HOST)
        mounts.complete([sighting("/x", pid=pid)])
    assert len(mounts._processes) == 3


def test_a_covered_mount_is_not_where_a_file_is_seen() -> None:
    mounts = parse(
        "1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /m rw - ext4 b rw\n3 2 8:3 / /m rw - ext4 c rw"
    )
    assert shown(mounts, "8:2", "/x") == ""
    assert shown(mounts, "8:3", "/x") == "/m/x"
    assert covering(mounts, "/mm/x") == mounts[0]


def test_links_on_the_way_are_followed_below_a_root(tmp_path: Path) -> None:
    (tmp_path / "etc/cron.d").mkdir(parents=True)
    (tmp_path / "l").symlink_to("/etc")
    (tmp_path / "etc/file").symlink_to("cron.d/real")
    top = str(tmp_path)
    assert followed(top, "/l/cron.d/y") == "/etc/cron.d/y"
    assert followed(top, "/l/cron.d/..") == "/etc"
    assert followed(top, "/l/file") == "/etc/cron.d/real"
    assert followed(top, "/absent/../x") == "/x"


def test_a_change_of_a_name_is_of_the_link_and_one_of_a_mode_of_what_it_leads_to(
    proc: Host, tmp_path: Path
) -> None:
    proc.add("9", "mnt:[1]", HOST)
    (tmp_path / "link").symlink_to("real")
    name = f"{tmp_path}/link"
    removed, mode = Mounts(str(proc.at)).complete(
        sighting(name, kind="write", given=name, marks=frozenset({mark}))
        for mark in ("removed", "mode")
    )
    assert (removed.item, mode.item) == (name, f"{tmp_path}/real")


def test_a_link_put_in_a_folder_s_place_is_followed_at_once(proc: Host, tmp_path: Path) -> None:
    proc.add("9", "mnt:[1]", HOST)
    mounts = Mounts(str(proc.at))
    where = tmp_path / "way"
    where.mkdir()

    def item(name: Path, mark: str) -> str:
        given = sighting(str(name), kind="write", given=str(name), marks=frozenset({mark}))
        return mounts.complete([given])[0].item

    assert item(where / "x", "removed") == f"{where}/x"
    where.rmdir()
    where.symlink_to("/etc/cron.d")
    item(where, "symlinked")
    assert item(where / "x", "removed") == "/etc/cron.d/x"


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert followed(str(tmp_path), "/a/x").endswith("/x")


def test_a_name_that_was_given_is_told_by_where_it_leads(proc: Host, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    proc.add("9", "mnt:[1]", HOST)
    name = f"{tmp_path}/link/x"
    marks = frozenset({"mode", "executable"})
    given = sighting(name, kind="write", given=name, marks=marks)
    (told,) = Mounts(str(proc.at)).complete([given])
    assert told.item == f"{tmp_path}/real/x"
    (tmp_path / "real/x").mkdir()
    (directory,) = Mounts(str(proc.at)).complete([given])
    assert directory.marks == {"mode", "directory"}
