"""One daemon, three servers: learned, attacked, and held as far as the operator allows each."""

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.response.processes import held
from tests.host.daemons import Daemon, Server, Verdict, grave, rank, wait_for

pytestmark = pytest.mark.timeout(120)

HIGH = 3
EPERM = 1
EACCES = 13

# A child of a child, whose parent has gone: it wakes up often until somebody stops it.
ORPHAN = """
told, tell = os.pipe()
child = os.fork()
if child == 0:
    if os.fork() == 0:
        os.setsid()
        os.write(tell, str(os.getpid()).encode())
        for n in range(1500):
            time.sleep(0.02)
    os._exit(0)
os.waitpid(child, 0)
answer = int(os.read(told, 20))
"""
# Connects when it begins and at each signal; no module, so that it opens no file for it.
CALLER = """
script = (
    'sub c { socket(my $s, 2, 1, 0); connect($s, pack("Sna4x8", 2, 1013, pack("C4", 127,0,0,1))) }'
    '$SIG{USR1} = \\\\&c; c(); select(undef, undef, undef, 0.1) while 1'
)
answer = subprocess.Popen(["/usr/bin/perl", "-e", script]).pid
"""
SHELL = """
subprocess.Popen([{shell!r}, {option!r}, {script!r}])
time.sleep(1)
"""
BASH = {"shell": "/bin/bash", "option": "-c", "script": "sleep 0.1; true"}
ELSEWHERE = "/var/lib/dpkg/status"  # neither the system's code nor temporary, as a checkout may be
READ = "open({path!r}).close()"
# As another user would ask, for this one thread.
FORBIDDEN = """
libc = ctypes.CDLL(None)
libc.setfsuid(65534)
try:
    open({path!r}).close()
finally:
    libc.setfsuid(0)
"""
CONNECT = "socket.create_connection(('127.0.0.1', {port}), 2).close(); answer = {{'errno': 0}}"


@dataclass(slots=True)
class Scene:
    """A guarding daemon; each server is named by what may be done to it."""

    daemon: Daemon
    servers: dict[str, Server]
    states: dict[str, list[str]]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    daemon = Daemon()
    servers = {name: Server(daemon.at / name) for name in ("alert", "contain", "freeze")}
    try:
        daemon.configure(*(server.rule(name) for name, server in servers.items())).start()
        for server in servers.values():
            server.start()
        states: dict[str, list[str]] = {name: [] for name in servers}

        def guarding() -> bool:
            for name in servers:
                state = daemon.workload(name).get("state", "")
                if state and state not in states[name]:
                    states[name].append(state)
            return all("guarding" in seen for seen in states.values())

        wait_for(guarding, 90.0)
        yield Scene(daemon, servers, states)
    finally:
        for server in servers.values():
            server.stop()
        daemon.close()


@pytest.fixture
def free(scene: Scene) -> Iterator[Scene]:
    """The scene, with everything ended that a test started, and given back."""
    yield scene
    for server in scene.servers.values():
        server.end_intruders()
    scene.daemon.ask("release", all=True)
    for server in scene.servers.values():
        wait_for(server.answers)


def test_a_server_is_learned_shadowed_and_then_guarded(scene: Scene) -> None:
    for seen in scene.states.values():
        assert seen[-1] == "guarding"
        assert set(seen) <= {"learning", "shadow", "guarding"}


def test_ordinary_load_brings_no_verdict_above_low_and_no_failed_request(scene: Scene) -> None:
    before = {name: server.answered for name, server in scene.servers.items()}
    time.sleep(3.0)
    assert grave(scene.daemon.verdicts()) == []
    for name, server in scene.servers.items():
        assert server.answered > before[name] + 10
        assert server.failed == 0


def test_a_healthy_agent_says_so_with_exit_0_and_no_losses(scene: Scene) -> None:
    answer = scene.daemon.command("status", "--json")
    status = json.loads(answer.stdout)
    assert (answer.returncode, status["health"], status["reasons"]) == (0, "healthy", [])
    assert {name: lost for name, lost in status["losses"].items() if lost} == {}


def test_every_eye_sees_the_live_self_test_beside_watched_servers(scene: Scene) -> None:
    shut = [finding for finding in scene.daemon.ask("doctor_live") if finding["state"] != "ok"]
    assert shut == []


def verdict_of(daemon: Daemon, containment: str) -> Verdict:
    """The verdict that led to a containment; empty before it is told."""
    told = (v for v in daemon.verdicts() if v["response"]["containment"] == containment)
    return next(told, {})


def wake_ups(pid: int) -> int:
    """How often the process gave up the processor by itself."""
    lines = Path("/proc", str(pid), "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary"))


def plant(home: Path, name: str) -> Path:
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("decoy\n")
    return path


@pytest.mark.parametrize(
    ("shell", "option", "script"),
    [("/bin/sh", "-c", "sleep 0.1"), ("/usr/bin/perl", "-e", "1")],
)
def test_a_shell_is_grave_and_only_told_where_no_more_is_allowed(
    free: Scene, shell: str, option: str, script: str
) -> None:
    server, since_ns = free.servers["alert"], time.monotonic_ns()
    server.do(SHELL.format(shell=shell, option=option, script=script))
    program = str(Path(shell).resolve())
    verdict = free.daemon.told("alert", program, since_ns)
    assert rank(verdict) >= HIGH
    assert verdict["response"]["action"] == "alert"
    assert verdict["response"]["wanted"] == "kill"
    assert free.daemon.live("alert") == []
    assert server.answers()


@pytest.mark.parametrize("name", [".aws/credentials", ".ssh/id_ed25519"])
def test_reading_a_decoy_credential_is_grave(free: Scene, name: str) -> None:
    server, since_ns = free.servers["alert"], time.monotonic_ns()
    path = plant(server.home, name)
    server.do(READ.format(path=str(path)))
    verdict = free.daemon.told("alert", str(path), since_ns)
    assert rank(verdict) >= HIGH
    assert [new["kind"] for new in verdict["novel"] if new["item"] == str(path)] == ["file"]


def test_a_secret_that_the_kernel_did_not_give_is_grave_all_the_same(free: Scene) -> None:
    server, since_ns = free.servers["alert"], time.monotonic_ns()
    assert server.do(FORBIDDEN.format(path="/etc/shadow")) == {"errno": EACCES}
    verdict = free.daemon.told("alert", "/etc/shadow", since_ns)
    (new,) = (one for one in verdict["novel"] if one["item"] == "/etc/shadow")
    assert (new["level"], new["deed"]) == ("high", "tried to open /etc/shadow")


@pytest.mark.parametrize("stranger", [1, 2])
def test_a_connection_to_an_unusual_loopback_port_is_grave(free: Scene, stranger: int) -> None:
    port = 1000 + stranger
    server, since_ns = free.servers["alert"], time.monotonic_ns()
    server.do(CONNECT.format(port=port))
    verdict = free.daemon.told("alert", f"tcp 127.0.0.1:{port}", since_ns)
    assert rank(verdict) >= HIGH


def test_a_verdict_shows_the_tree_from_the_shell_up_to_the_server(free: Scene) -> None:
    server, since_ns = free.servers["alert"], time.monotonic_ns()
    server.do(SHELL.format(**BASH))
    verdict = free.daemon.told("alert", "/usr/bin/bash", since_ns)
    process = verdict["process"]
    assert process["exe"] == "/usr/bin/bash"
    assert process["cmdline"] == ["/bin/bash", "-c", "sleep 0.1; true"]
    assert server.pid in [above["pid"] for above in process["ancestry"]]
    assert any(record["item"] == "/usr/bin/bash" for record in verdict["records"])


@pytest.mark.parametrize(
    ("shell", "option", "script"),
    [("/bin/sh", "-c", "sleep 30 & sleep 30"), ("/usr/bin/perl", "-e", "fork; sleep 30")],
)
def test_a_frozen_tree_stands_still_with_orphans_of_orphans(
    free: Scene, shell: str, option: str, script: str
) -> None:
    server = free.servers["freeze"]
    orphan = server.do(ORPHAN)
    server.strays.add(orphan)
    before = wake_ups(orphan)
    wait_for(lambda: wake_ups(orphan) > before)
    server.order(SHELL.format(shell=shell, option=option, script=script))
    (one,) = wait_for(lambda: free.daemon.live("freeze"))
    verdict = wait_for(lambda: verdict_of(free.daemon, one["id"]))
    response = verdict["response"]
    assert (verdict["level"], response["action"]) == ("critical", "freeze")
    assert (response["state"], response["undo"]) == ("done", one["undo"])
    assert verdict["id"] in one["reason"]
    assert {server.pid, orphan} <= set(response["held"])
    assert response["still_running"] == []
    assert all(held(pid, patient=True) for pid in response["held"])
    before = wake_ups(orphan)
    time.sleep(0.2)
    assert wake_ups(orphan) == before
    assert not server.answers(0.3)


def test_a_frozen_server_answers_again_after_agent_release(free: Scene) -> None:
    server = free.servers["freeze"]
    server.order("subprocess.Popen(['/usr/bin/awk', '1', '/dev/null'])")
    (one,) = wait_for(lambda: free.daemon.live("freeze"))
    assert not server.answers(0.3)
    server.end_intruders()
    answer = free.daemon.command("release", one["id"])
    assert (answer.returncode, answer.stdout) == (0, "Released: freeze.\n")
    wait_for(server.answers)
    assert free.daemon.json("containments") == []


def test_what_a_released_server_stumbles_over_does_not_freeze_it_again(free: Scene) -> None:
    server = free.servers["freeze"]
    server.order("subprocess.Popen(['/usr/bin/awk', '1', '/dev/null'])")
    (one,) = wait_for(lambda: free.daemon.live("freeze"))
    server.end_intruders()
    since_ns = time.monotonic_ns()
    assert free.daemon.command("release", one["id"]).returncode == 0
    # Its callers went away: it meets errors, and opens what tells of them.
    server.do(READ.format(path=ELSEWHERE))
    verdict = free.daemon.told("freeze", ELSEWHERE, since_ns)
    assert verdict["response"]["containment"] in {"", one["id"]}  # a window may hold both
    assert server.answers()
    assert free.daemon.live("freeze") == []


def test_a_contained_server_cannot_connect_and_still_serves_its_clients(free: Scene) -> None:
    server, since_ns = free.servers["contain"], time.monotonic_ns()
    server.do(CONNECT.format(port=1011))
    verdict = free.daemon.told("contain", "tcp 127.0.0.1:1011", since_ns)
    assert verdict["response"]["action"] == "contain"
    assert server.do(CONNECT.format(port=server.port)) == {"errno": EPERM}
    assert server.do(CONNECT.format(port=1012)) == {"errno": EPERM}
    assert server.answers()


def test_a_child_let_live_at_a_release_may_repeat_itself_and_is_told_of(free: Scene) -> None:
    server, since_ns = free.servers["contain"], time.monotonic_ns()
    child = server.do(CALLER)
    free.daemon.told("contain", "tcp 127.0.0.1:1013", since_ns)
    (one,) = wait_for(lambda: free.daemon.live("contain"))
    wait_for(lambda: verdict_of(free.daemon, one["id"]))
    free.daemon.ask("release", all=True)
    again_ns = time.monotonic_ns()
    os.kill(child, signal.SIGUSR1)
    verdict = free.daemon.told("contain", "tcp 127.0.0.1:1013", again_ns)
    assert rank(verdict) >= HIGH
    assert (verdict["response"]["action"], verdict["response"]["wanted"]) != ("contain", "contain")
    assert verdict["response"]["reason"]
    assert free.daemon.live("contain") == []


def test_a_released_server_that_does_the_same_again_is_contained_again(free: Scene) -> None:
    server = free.servers["contain"]
    for _ in range(2):
        assert server.do(CONNECT.format(port=1014)) != {"errno": EPERM}
        (one,) = wait_for(lambda: free.daemon.live("contain"))
        wait_for(lambda: verdict_of(free.daemon, one["id"]))  # noqa: B023 - called here, at once
        free.daemon.ask("release", all=True)


def test_commands_tell_and_explain_the_verdicts_that_were_kept(scene: Scene) -> None:
    kept = scene.daemon.verdicts("alert")
    assert kept
    assert scene.daemon.json("verdicts", "--workload", "alert") == kept
    assert scene.daemon.json("explain", kept[-1]["id"]) == kept[-1]
    assert scene.daemon.command("explain", "nothing-like-it").returncode == 4


def test_a_verdict_has_every_key_that_was_promised(scene: Scene) -> None:
    promised = {
        "id", "host", "time_ns", "workload", "engine", "level", "score", "p_value",
        "budget_spent", "window", "features", "novel", "process", "techniques", "summary",
        "response",
    }  # fmt: skip
    for verdict in scene.daemon.verdicts():
        assert promised <= set(verdict)
        assert {"action", "state", "containment", "undo"} <= set(verdict["response"])
        assert verdict["engine"] == "generic" or verdict["workload"] not in scene.servers


def test_a_hangup_lets_the_agent_go_further_than_before(free: Scene) -> None:
    daemon, server = free.daemon, free.servers["alert"]
    daemon.configure(*(s.rule("contain") for s in free.servers.values()))
    os.kill(daemon.pid, signal.SIGHUP)
    wait_for(lambda: "config.reloaded" in daemon.log())
    since_ns = time.monotonic_ns()
    server.do(CONNECT.format(port=1015))
    verdict = daemon.told("alert", "tcp 127.0.0.1:1015", since_ns)
    assert verdict["response"]["action"] == "contain"
    assert daemon.live("alert")
