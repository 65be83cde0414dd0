"""What a running daemon holds: no more than its unit grants, little of it in force, and it works.

With the bounding set of the packaged unit and no way to gain more, as systemd starts it; and as
plain root, where what only a start may need is given away after it.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from agent.powers import IN_FORCE, NUMBERS, mask
from agent.response.processes import stopped
from probes.holding import LINKS, cgroup_root
from tests.host.daemons import Daemon, Server, wait_for
from tests.host.test_capabilities import granted

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
]

NOBODY: Final = 65534
SETS: Final = ("CapEff", "CapPrm", "CapBnd")
UNIT: Final = (
    "setpriv", f"--bounding-set=-all,{granted()}", "--inh-caps=-all", "--no-new-privs"
)  # fmt: skip
SLEEP: Final = "import os, time; os.setuid(65534); print('ready', flush=True); time.sleep(120)"


def sets(daemon: Daemon) -> list[dict[str, int]]:
    """What each thread holds."""
    found = []
    for task in Path(f"/proc/{daemon.pid}/task").iterdir():
        lines = dict(line.split(":\t") for line in (task / "status").read_text().splitlines())
        found.append({name: int(lines[name], 16) for name in SETS})
    return found


def unit_mask() -> int:
    return mask(name.removeprefix("+") for name in granted().split(","))


@pytest.fixture(scope="module")
def guarded() -> Iterator[tuple[Daemon, Server]]:
    daemon = Daemon(before=UNIT)
    server = Server(daemon.at / "held")
    try:
        server.start()
        daemon.configure(server.rule("alert")).start()
        wait_for(lambda: daemon.workload("held").get("pids"))
        yield daemon, server
    finally:
        server.stop()
        daemon.close()


@pytest.fixture
def alone() -> Iterator[int]:
    """A process of another user's, in nobody's group but the host's."""
    line = [sys.executable, "-ISc", SLEEP]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        process.kill()


@pytest.fixture
def another_users() -> Iterator[int]:
    """A process of another user's, in a cgroup that was delegated to that user."""
    group = cgroup_root() / f"inferward-test-{os.getpid()}-delegated"
    group.mkdir()
    line = [sys.executable, "-ISc", SLEEP]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        (group / "cgroup.procs").write_text(str(process.pid))
        for file in (group, *group.iterdir()):
            os.chown(file, NOBODY, NOBODY)
        (group / "cgroup.freeze").chmod(0o600)
        (group / "cgroup.kill").chmod(0o200)
        yield process.pid
        process.kill()
    while (group / "cgroup.procs").read_text():
        time.sleep(0.01)
    group.rmdir()


def test_every_thread_has_in_force_what_the_loop_needs_and_permitted_what_the_unit_grants(
    guarded: tuple[Daemon, Server],
) -> None:
    expected = {"CapEff": mask(IN_FORCE), "CapPrm": unit_mask(), "CapBnd": unit_mask()}
    assert [held for held in sets(guarded[0]) if held != expected] == []


def test_another_users_process_is_frozen_in_its_delegated_group_and_given_back(
    guarded: tuple[Daemon, Server], another_users: int
) -> None:
    daemon, _ = guarded
    daemon.ask("watch", name="theirs", pid=another_users)
    wait_for(lambda: daemon.workload("theirs").get("pids"))
    done = daemon.ask("contain", target="theirs", level="freeze", for_s=60, reason="a test")
    assert done["how"].startswith("cgroup"), done
    daemon.ask("release", id=done["id"])
    assert not stopped(another_users)
    done = daemon.ask("contain", target="theirs", level="kill", for_s=60, reason="a test")
    assert done["state"] == "ended", done


def test_another_users_process_is_stopped_by_signals_and_continued(
    guarded: tuple[Daemon, Server], alone: int
) -> None:
    daemon, _ = guarded
    daemon.ask("watch", name="alone", pid=alone)
    wait_for(lambda: daemon.workload("alone").get("pids"))
    done = daemon.ask("contain", target="alone", level="freeze", for_s=60, reason="a test")
    assert (done["how"], stopped(alone)) == ("signals", True)
    daemon.ask("release", id=done["id"])
    assert not stopped(alone)


def test_a_link_that_was_detached_is_back(guarded: tuple[Daemon, Server]) -> None:
    daemon, since_ns = guarded[0], time.time_ns()
    links = daemon.pins / LINKS
    (links / "on_sys_exit").unlink()
    for name in ("on_connect4", "on_egress"):
        subprocess.run(["bpftool", "link", "detach", "pinned", links / name], check=True)
    daemon.alarm("on_connect4 was detached from its hook", since_ns, 15.0)
    wait_for((links / "on_sys_exit").exists)
    assert not any("could not" in reason for reason in daemon.status()["reasons"])


def test_it_reads_its_configuration_again_and_collects_evidence(
    guarded: tuple[Daemon, Server],
) -> None:
    daemon, server = guarded
    os.kill(daemon.pid, signal.SIGHUP)
    wait_for(lambda: "config.reloaded" in daemon.log())
    done = daemon.ask("contain", target=server.name, level="freeze", for_s=60, reason="a test")
    assert daemon.command("evidence", done["id"]).returncode == 0
    assert daemon.command("release", done["id"]).returncode == 0
    wait_for(server.answers)


def test_as_plain_root_what_only_a_start_may_need_is_given_away() -> None:
    daemon = Daemon()
    try:
        daemon.configure().start()
        whole = int(Path("/proc/self/status").read_text().split("CapPrm:\t")[1].split()[0], 16)
        kept = whole & mask(NUMBERS)
        expected = {"CapEff": whole & mask(IN_FORCE), "CapPrm": kept, "CapBnd": kept}
        assert [held for held in sets(daemon) if held != expected] == []
        assert whole & ~kept
    finally:
        daemon.close()


def test_the_next_daemon_takes_over_with_as_little() -> None:
    daemon = Daemon(before=UNIT)
    try:
        daemon.configure().start()
        daemon.kill()
        daemon.start()
        assert "agent.started" in daemon.log()
        assert daemon.stop() == 0
    finally:
        daemon.close()
