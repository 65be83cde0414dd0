"""How far a step goes is the operator's: which one a level earns, and whether clients are cut."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.host.daemons import Daemon, Server, wait_for

pytestmark = pytest.mark.timeout(150)

SHELL = 'subprocess.Popen(["/bin/sh", "-c", "sleep 30; true"])'


@dataclass(frozen=True, slots=True)
class Scene:
    """Guarded servers: one is to be cut off from all, one may send so much and no more."""

    daemon: Daemon
    cut: Server
    limited: Server


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    daemon = Daemon()
    cut, limited = Server(daemon.at / "cut"), Server(daemon.at / "limited")
    try:
        chosen = 'steps = { critical = "contain" }\nclients = "cut"\n'
        upload = "upload = { public_mib_per_hour = 0.5 }\n"
        daemon.configure(cut.rule("freeze") + chosen, limited.rule("limit") + upload).start()
        for server in (cut, limited):
            server.start()
        names = [cut.name, limited.name]
        wait_for(lambda: {daemon.workload(n).get("state") for n in names} == {"guarding"}, 120.0)
        yield Scene(daemon, cut, limited)
    finally:
        cut.stop()
        limited.stop()
        daemon.close()


def test_a_critical_verdict_earns_the_chosen_step_and_its_clients_are_cut(
    scene: Scene,
) -> None:
    daemon, server = scene.daemon, scene.cut
    server.order(SHELL)
    (one,) = wait_for(lambda: daemon.live(server.name))
    assert (one["step"], one["cut_clients"]) == ("contain", True)
    assert not server.answers(0.5)
    verdict = wait_for(
        lambda: [v for v in daemon.verdicts() if v["response"]["containment"] == one["id"]]
    )[0]
    assert (verdict["level"], verdict["response"]["wanted"]) == ("critical", "contain")
    server.end_intruders()
    assert daemon.command("release", one["id"]).returncode == 0
    wait_for(server.answers)


def test_an_operator_may_keep_them_all_the_same(scene: Scene) -> None:
    daemon, server = scene.daemon, scene.cut
    words = ("contain", server.name, "--level", "contain", "--reason", "a test")
    assert daemon.command(*words, "--keep-clients").returncode == 0
    (one,) = daemon.live(server.name)
    assert not one["cut_clients"]
    assert server.answers()
    assert daemon.command(*words).returncode == 0
    assert daemon.live(server.name)[0]["id"] == one["id"]
    assert not server.answers(0.5)
    assert daemon.command("release", "--all").returncode == 0
    wait_for(server.answers)


def test_where_no_more_is_allowed_it_is_limited_by_its_own_budget_and_serves_on(
    scene: Scene,
) -> None:
    daemon, server = scene.daemon, scene.limited
    server.order(SHELL)
    (one,) = wait_for(lambda: daemon.live(server.name))
    assert (one["step"], one["upload_bytes"]["public"]) == ("limit", 1 << 19)
    verdict = wait_for(
        lambda: [v for v in daemon.verdicts() if v["response"]["containment"] == one["id"]]
    )[0]
    response = verdict["response"]
    assert (response["action"], response["wanted"]) == ("limit", "kill")
    assert response["reason"] == "the configuration allows no more than limit"
    assert server.answers()
    assert daemon.command("release", one["id"]).returncode == 0
    assert daemon.live(server.name) == []
