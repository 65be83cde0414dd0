"""Identities, trees and facts of processes, read from files laid out like `/proc`."""

from typing import Any

from collectors.procfs import Listener, parse_stat

# The `host` fixture lives in the conftest above, which is no module to import from.
Host = Any


def test_a_name_with_spaces_and_brackets_does_not_shift_the_fields() -> None:
    line = b"7 (a) b (c)) S 3 1 1 0 -1 4194304 1 2 3 4 5 6 0 0 20 0 9 0 77 4096 250 0"
    stat = parse_stat(line)
    assert stat is not None
    assert (stat.comm, stat.ppid, stat.threads, stat.start_ticks) == ("a) b (c)", 3, 9, 77)
    assert (stat.cpu_ticks, stat.minor_faults, stat.major_faults) == (11, 1, 3)


def test_a_line_that_is_no_stat_gives_none() -> None:
    assert parse_stat(b"") is None
    assert parse_stat(b"7 (x) S 1") is None


def test_a_tree_lists_parents_before_children(host: Host) -> None:
    host.add(10, ["a"])
    host.add(12, ["b"], ppid=10)
    host.add(11, ["c"], ppid=12)
    host.add(20, ["other"])
    table = host.table()
    assert [process.pid for process in table.tree(10)] == [10, 12, 11]
    assert [process.pid for process in table.ancestry(11)] == [12, 10, 1]
    assert [process.pid for process in table.descendants(20)] == []
    assert table.tree(99) == ()


def test_parents_in_a_circle_end_the_walk(host: Host) -> None:
    host.add(10, ["a"], ppid=11)
    host.add(11, ["b"], ppid=10)
    table = host.table()
    assert [process.pid for process in table.ancestry(10)] == [11]
    assert [process.pid for process in table.descendants(10)] == [11]


def test_a_process_tells_its_facts(host: Host) -> None:
    host.add(
        10,
        ["python", "-m", "x"],
        libraries=["/usr/lib/libc.so.6"],
        ports=[8000],
        address="0100007F",
        threads=5,
    )
    process = host.table().get(10)
    assert process.exe == "/usr/bin/python3.11"
    assert process.cmdline == ("python", "-m", "x")
    assert process.uid == 1000
    assert process.threads == 5
    assert [library.name for library in process.libraries] == ["libc.so.6"]
    assert process.listeners == (Listener("tcp", "127.0.0.1", 8000),)
    assert not process.listeners[0].wildcard


def test_a_deleted_executable_keeps_its_path(host: Host) -> None:
    host.add(10, ["x"], exe="/tmp/x (deleted)")
    process = host.table().get(10)
    assert process.exe == "/tmp/x"
    assert process.exe_deleted


def test_unit_and_container_come_from_the_cgroup(host: Host) -> None:
    container = "ab" * 32
    host.add(10, ["x"], cgroup=f"0::/system.slice/docker-{container}.scope\n")
    host.add(11, ["x"], cgroup="0::/system.slice/vllm.service/worker\n")
    host.add(12, ["x"], cgroup="3:memory:/m\n1:name=systemd:/system.slice/a.service\n0::/\n")
    table = host.table()
    assert table.get(10).container == container
    assert table.get(11).unit == "vllm.service"
    assert table.get(12).unit == "a.service"
    assert table.get(12).place.memory_v1 == "/m"


def test_a_process_that_exits_after_the_snapshot_has_no_facts(host: Host) -> None:
    host.add(10, ["x"], ports=[8000])
    table = host.table()
    host.remove(10)
    process = table.get(10)
    assert process.cmdline == ()
    assert process.exe == ""
    assert process.uid is None
    assert process.listeners == ()
    assert table.counts.vanished > 0


def test_a_reused_pid_does_not_lend_its_facts(host: Host) -> None:
    host.add(10, ["old"])
    table = host.table()
    host.remove(10)
    host.add(10, ["new"], start=777)
    assert table.get(10).cmdline == ()
    assert table.counts.vanished == 1


def test_a_malformed_stat_is_counted_and_left_out(host: Host) -> None:
    host.add(10, ["x"])
    (host.root / "10" / "stat").write_text("nonsense")
    table = host.table()
    assert table.get(10) is None
    assert table.counts.failed == 1


def test_a_kernel_thread_is_told_apart(host: Host) -> None:
    host.kernel_thread(2, "kthreadd")
    process = host.table().get(2)
    assert process.kernel
    assert process.exe == ""


def test_padding_left_by_a_title_is_no_argument(host: Host) -> None:
    host.add(10, ["VLLM::EngineCore", "", "", ""])
    assert host.table().get(10).cmdline == ("VLLM::EngineCore",)
