"""How far a step goes is the operator's: which one a level earns, and whether clients are cut."""

from collections.abc import Iterator

import pytest

from tests.host.daemons import Daemon, Server, wait_for

pytestmark = pytest.mark.timeout(150)

SHELL = 'subprocess.Popen(["/bin/sh", "-c", "sleep 30; true"])'


@pytest.fixture(scope="module")
def scene() -> Iterator[tuple[Daemon, Server]]:
    """A guarded server that may be frozen, and is to be cut off from all when it comes to that."""
    daemon = Daemon()
    server = Server(daemon.at / "cut")
    try:
        chosen = 'steps = { critical = "contain" }\nclients = "cut"\n'
        daemon.configure(server.rule("freeze") + chosen).start()
        server.start()
        wait_for(lambda: daemon.workload(server.name).get("state") == "guarding", 90.0)
        yield daemon, server
    finally:
        server.stop()
        daemon.close()


def test_a_critical_verdict_earns_the_chosen_step_and_its_clients_are_cut(
    scene: tuple[Daemon, Server],
) -> None:
    daemon, server = scene
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


def test_an_operator_may_keep_them_all_the_same(scene: tuple[Daemon, Server]) -> None:
    daemon, server = scene
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
