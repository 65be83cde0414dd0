"""Reflexes of a guarded server, from learning to approval, also with the daemon dead; dry runs."""

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from agent.response.processes import children, held
from tests.host.daemons import Daemon, Server, Verdict, grave, rank, wait_for

pytestmark = pytest.mark.timeout(240)

HIGH = 3
RUN = "answer = subprocess.run([{program!r}]).returncode"
CONNECT = """
with socket.socket() as line:
    answer = line.connect_ex(("127.0.0.1", {port}))
"""
NOBODY_THERE = (17, 19, 23, 29, 31)
"""Ports that nobody listens on; below those that kernels give."""


@dataclass(slots=True)
class Life:
    """One daemon, a server with every reflex and one whose are rehearsed, in this file's order."""

    daemon: Daemon
    server: Server
    rehearser: Server
    known: int

    def armed(self) -> list[str]:
        """What the kernel may answer for the server."""
        return list(self.daemon.workload("reflex").get("reflex", {}).get("armed", ()))

    def told(self, name: str, item: str, since_ns: int) -> Verdict:
        """The verdict that tells a reflex to that item."""

        def look() -> Verdict:
            for verdict in self.daemon.verdicts(name):
                acts = verdict["response"].get("reflex", ())
                if any(act["item"] == item for act in acts) and (
                    verdict["window"]["start_ns"] >= since_ns - 1_000_000_000
                ):
                    return verdict
            return {}

        return wait_for(look)


@pytest.fixture(scope="module")
def life() -> Iterator[Life]:
    daemon = Daemon()
    server, rehearser = Server(daemon.at / "reflex"), Server(daemon.at / "rehearser")
    reflex = 'reflex = ["exec", "connect", "secret"]\n'
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()
        known = listener.getsockname()[1]
        try:
            dry = rehearser.rule("freeze") + reflex + "dry_run = true\n"
            daemon.configure(server.rule("alert") + reflex, dry).start()
            for each in (server, rehearser):
                each.start()
            names = [server.name, rehearser.name]
            wait_for(lambda: all(daemon.workload(name) for name in names), 30.0)
            for each in (server, rehearser):
                each.do(RUN.format(program="/bin/true"))
                each.do(CONNECT.format(port=known))
            states = {"guarding"}
            wait_for(lambda: {daemon.workload(n).get("state") for n in names} == states, 180.0)
            yield Life(daemon, server, rehearser, known)
        finally:
            server.stop()
            rehearser.stop()
            daemon.close()


def _accept(listener: socket.socket) -> None:
    while True:
        try:
            listener.accept()[0].close()
        except OSError:
            return


def background(act: Callable[[], object]) -> None:
    threading.Thread(target=act, daemon=True).start()


def test_a_guarding_baseline_arms_them_and_what_was_learnt_goes_on(life: Life) -> None:
    wait_for(lambda: life.armed() == ["exec", "connect", "secret"])
    since = life.server.failed
    for _ in range(5):
        assert life.server.do(RUN.format(program="/bin/true")) == 0
        assert life.server.do(CONNECT.format(port=life.known)) == 0
    time.sleep(0.6)
    assert grave(life.daemon.verdicts("reflex")) == []
    assert life.server.failed == since
    assert "reflex exec+connect+secret" in life.daemon.command("status").stdout


def test_a_peer_that_was_not_learnt_is_denied_told_and_approved(life: Life) -> None:
    port, since_ns = NOBODY_THERE[0], time.monotonic_ns()
    assert life.server.do(CONNECT.format(port=port)) == errno.EPERM
    verdict = life.told("reflex", f"tcp 127.0.0.1:{port}", since_ns)
    response = verdict["response"]
    assert (response["action"], response["state"], response["containment"]) == (
        "reflex",
        "done",
        "",
    )
    assert response["reflex"][0]["outcome"] == "denied"
    assert rank(verdict) >= HIGH
    approve = f"agent baseline approve reflex --verdict {verdict['id']}"
    assert (response["undo"], response["approve"]) == (approve, approve)
    assert f"a reflex denied connect tcp 127.0.0.1:{port}" in verdict["summary"]
    assert "denied, process" in life.daemon.command("explain", verdict["id"]).stdout
    approved = life.daemon.command("baseline", "approve", "reflex", "--verdict", verdict["id"])
    assert approved.returncode == 0
    wait_for(lambda: life.server.do(CONNECT.format(port=port)) == errno.ECONNREFUSED)


def test_a_loop_is_denied_each_time_and_told_once(life: Life) -> None:
    port = NOBODY_THERE[4]
    tries = f"""
answer = []
for _ in range(150):
    with socket.socket() as line:
        answer.append(line.connect_ex(("127.0.0.1", {port})))
    time.sleep(0.02)
"""
    assert life.server.do(tries) == [errno.EPERM] * 150
    time.sleep(0.6)
    item = f"tcp 127.0.0.1:{port}"
    told = [a for v in life.daemon.verdicts("reflex") for a in v["response"].get("reflex", ())]
    assert 1 <= [act["item"] for act in told].count(item) <= 2


def test_a_program_that_was_not_learnt_stands_still_until_it_is_released(life: Life) -> None:
    since_ns = time.monotonic_ns()
    background(lambda: life.server.order(RUN.format(program="/usr/bin/id")))
    verdict = life.told("reflex", "/usr/bin/id", since_ns)
    response = verdict["response"]
    assert (response["action"], response["state"]) == ("reflex", "done")
    (act,) = [act for act in response["reflex"] if act["item"] == "/usr/bin/id"]
    assert act["outcome"] == "stopped"
    assert response["undo"] == f"agent release {response['containment']}"
    (child,) = response["held"]
    assert held(child)
    assert life.server.answers()
    assert [n["item"] for n in verdict["novel"]].count("/usr/bin/id") == 1
    (one,) = life.daemon.live("reflex")
    assert (one["step"], one["who"]) == ("reflex", "agent")
    assert life.daemon.command("release", response["containment"]).returncode == 0
    wait_for(lambda: child not in children(life.server.pid))
    assert life.daemon.live("reflex") == []
    life.server.do(RUN.format(program="/usr/bin/id"))  # released once, it is not stopped again


def test_they_outlive_the_daemon_and_a_release_works_without_it(life: Life) -> None:
    life.daemon.kill()
    assert life.server.do(CONNECT.format(port=NOBODY_THERE[1])) == errno.EPERM
    assert life.server.do(CONNECT.format(port=life.known)) == 0
    life.server.order("answer = len(open('/etc/shadow').read())")
    wait_for(lambda: held(life.server.pid))
    (one,) = life.daemon.json("containments")
    assert (one["workload"], one["step"]) == ("reflex", "reflex")
    assert life.daemon.command("release", one["id"]).returncode == 0
    wait_for(life.server.answers)


def test_a_new_daemon_tells_what_was_done_without_it_and_goes_on(life: Life) -> None:
    life.daemon.start()
    wait_for(lambda: life.armed() == ["exec", "connect", "secret"])
    life.told("reflex", f"tcp 127.0.0.1:{NOBODY_THERE[1]}", 0)
    verdict = life.told("reflex", "/etc/shadow", 0)
    assert verdict["response"]["reflex"]
    assert life.server.do(CONNECT.format(port=NOBODY_THERE[2])) == errno.EPERM


def test_a_dry_run_tells_what_reflexes_and_response_would_have_done(life: Life) -> None:
    since_ns, before = time.monotonic_ns(), life.rehearser.failed
    shell = "subprocess.run(['/bin/sh', '-c', 'true']); answer = len(open('/etc/shadow').read())"
    assert life.rehearser.do(shell) > 0
    verdict = life.told("rehearser", "/etc/shadow", since_ns)
    response = verdict["response"]
    assert {act["outcome"] for act in response["reflex"]} == {"rehearsed"}
    assert (response["state"], response["containment"]) == ("would", "")
    assert life.rehearser.pid in response["would"]["processes"]
    assert life.daemon.live("rehearser") == []
    assert life.rehearser.answers()
    assert life.rehearser.failed == before


def test_a_baseline_that_learns_has_none(life: Life) -> None:
    assert life.daemon.command("baseline", "learn", "reflex").returncode == 0
    wait_for(lambda: life.armed() == [])
    why = life.daemon.workload("reflex")["reflex"]["why_not"]
    assert why == "the baseline is learning; only a guarding one acts"
    assert life.server.do(CONNECT.format(port=NOBODY_THERE[3])) == errno.ECONNREFUSED
