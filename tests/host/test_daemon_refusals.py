"""What a daemon does with what it must not accept: seconds, peers, files, users, lost probes."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from agent.control import RemoteError
from tests.host.daemons import ROOT, Daemon, wait_for

pytestmark = pytest.mark.timeout(60)

NOBODY = 65534
SLEEPER = (
    "[[workload]]\nname = 'sleeper'\nmatch = {{ cmdline = 'sleep 61' }}\nrespond = '{respond}'\n"
)
WRONG = """
[agent]
respond = "destroy"
[window]
length_s = "long"
[learning]
min_window = 3
"""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    daemon = Daemon()
    try:
        yield daemon.configure(SLEEPER.format(respond="alert")).start()
    finally:
        daemon.close()


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "62"]) as process:
        yield process
        process.kill()


def test_a_second_daemon_on_the_same_paths_is_refused_by_the_pid_of_the_first(
    daemon: Daemon,
) -> None:
    answer = daemon.command("run")
    assert answer.returncode == 6
    assert f"Process {daemon.pid} is already running" in answer.stderr
    assert daemon.status()["health"]


def test_garbage_on_the_control_socket_is_counted_and_nothing_else_happens(daemon: Daemon) -> None:
    before = daemon.status()["control"]["garbage"]
    for junk in (b"\0" * 8, b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xff", b"\0\0\0\x05hello"):
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(daemon.run_directory / "control.sock"))
            line.sendall(junk)
            line.shutdown(socket.SHUT_WR)
            with suppress(ConnectionResetError):  # hung up on before it had read everything
                assert line.recv(10) == b""
    assert daemon.status()["control"]["garbage"] == before + 4
    assert daemon.log().count('"control.garbage"') == 1


def test_an_operation_nobody_knows_is_refused_and_the_daemon_goes_on(daemon: Daemon) -> None:
    with pytest.raises(RemoteError, match="dance"):
        daemon.ask("dance")
    assert daemon.status()["health"]


def test_a_process_is_watched_by_name_and_let_go(
    daemon: Daemon, sleeper: "subprocess.Popen[bytes]"
) -> None:
    answer = daemon.command("watch", "--name", "by-hand", "--pid", str(sleeper.pid))
    assert answer.returncode == 0, answer.stderr
    assert daemon.workload("by-hand")["pids"] == [sleeper.pid]
    answer = daemon.command("unwatch", "by-hand")
    assert answer.returncode == 0, answer.stderr
    assert daemon.workload("by-hand") == {}
    members = [w for w in daemon.ask("workloads") if w["name"] == "by-hand"]
    assert members == []


def test_watching_a_process_that_is_not_there_exits_4(daemon: Daemon) -> None:
    assert daemon.command("watch", "--name", "ghost", "--pid", "4194303").returncode == 4
    assert daemon.workload("ghost") == {}


def test_letting_go_of_what_nobody_watches_exits_4(daemon: Daemon) -> None:
    assert daemon.command("unwatch", "nobody").returncode == 4


def test_asking_for_an_unknown_workload_exits_4(daemon: Daemon) -> None:
    answer = daemon.command("contain", "nobody", "--level", "freeze", "--reason", "a test")
    assert answer.returncode == 4


def test_a_hangup_with_a_bad_file_changes_nothing_and_says_why(daemon: Daemon) -> None:
    good = daemon.config.read_text()
    daemon.config.write_text(WRONG)
    try:
        os.kill(daemon.pid, signal.SIGHUP)
        wait_for(lambda: "config.not_reloaded" in daemon.log())
        assert daemon.run_directory.exists()
        assert "min_window" in daemon.log()
        assert "config.reloaded" not in daemon.log()
    finally:
        daemon.config.write_text(good)


def test_a_hangup_with_a_good_file_applies_it_without_a_restart(daemon: Daemon) -> None:
    with subprocess.Popen(["sleep", "63"]) as process:
        try:
            rule = SLEEPER.format(respond="observe").replace("61", "63")
            daemon.configure(rule)
            os.kill(daemon.pid, signal.SIGHUP)
            wait_for(lambda: "config.reloaded" in daemon.log())
            found = wait_for(lambda: daemon.workload("sleeper"))
            assert found["pids"] == [process.pid]
        finally:
            process.kill()


def test_status_of_no_daemon_exits_3_with_a_sentence() -> None:
    nobody = Daemon()
    try:
        answer = nobody.configure().command("status")
        assert answer.returncode == 3
        assert answer.stderr.count("\n") == 1
        assert "agent run" in answer.stderr
    finally:
        nobody.close()


def test_a_bad_configuration_exits_78_with_every_mistake_and_its_line() -> None:
    wrong = Daemon()
    try:
        wrong.config.write_text(WRONG)
        answer = wrong.command("run")
        assert answer.returncode == 78
        for line, name in ((3, "agent.respond"), (5, "window.length_s"), (7, "min_window")):
            assert any(
                f"agent.toml:{line}" in told and name in told for told in answer.stderr.splitlines()
            ), answer.stderr
        assert not wrong.pins.exists()
    finally:
        wrong.close()


def test_without_privileges_it_exits_77_with_one_sentence() -> None:
    plain = Daemon()
    try:
        plain.at.chmod(0o755)
        for directory in (plain.state, plain.run_directory):
            directory.mkdir()
            os.chown(directory, NOBODY, NOBODY)
        line = plain.configure().line("run")
        answer = subprocess.run(
            line, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True,
            cwd=plain.at, env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            check=False, timeout=30,
        )  # fmt: skip
        assert answer.returncode == 77, answer.stderr
        assert answer.stderr.count("\n") == 1
        assert not plain.pins.exists()
    finally:
        plain.close()


def test_probes_that_vanish_are_back_within_ten_seconds_and_that_is_told(daemon: Daemon) -> None:
    links = daemon.pins / "links"
    before = {pin.name for pin in links.iterdir()}
    shutil.rmtree(links)
    began = time.monotonic()
    wait_for(lambda: links.is_dir() and before == {pin.name for pin in links.iterdir()}, 12.0)
    wait_for(lambda: daemon.status()["health"] == "degraded")
    assert time.monotonic() - began < 10.0
    answer = daemon.command("status", "--json")
    assert answer.returncode == 1
    assert "took the agent's eyes away" in json.loads(answer.stdout)["reasons"][0]
    about = [v for v in daemon.verdicts("inferward-agent") if "own eyes" in v["summary"]]
    assert [verdict["level"] for verdict in about] == ["high"]


def test_a_restart_finds_them_in_place(daemon: Daemon) -> None:
    assert daemon.stop() == 0
    daemon.start()
    assert daemon.status()["health"] == "healthy"


def test_asked_to_stop_it_exits_0_and_leaves_the_probes_pinned(daemon: Daemon) -> None:
    assert daemon.stop() == 0
    assert (daemon.pins / "links").is_dir()
    assert '"agent.stopped"' in daemon.log()
    assert not (daemon.run_directory / "control.sock").exists()
    assert daemon.command("status").returncode == 3
