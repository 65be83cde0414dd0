"""Where the operator allows it, an intruder's tree is frozen, kept as evidence, and then ended."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.response.processes import read_process
from tests.host.daemons import Daemon, Server, wait_for

pytestmark = pytest.mark.timeout(120)

SHELL = 'subprocess.Popen(["/bin/sh", "-c", "sleep 30; true"])'


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    daemon = Daemon()
    try:
        yield daemon
    finally:
        daemon.close()


@pytest.fixture
def server(daemon: Daemon) -> Iterator[Server]:
    server = Server(daemon.at / "kill")
    try:
        daemon.configure(server.rule("kill"))
        chosen = '[response]\nevidence_memory = ["[stack]"]'
        daemon.config.write_text(daemon.config.read_text().replace("[response]", chosen))
        daemon.start()
        server.start()
        wait_for(lambda: daemon.workload("kill").get("state") == "guarding", 90.0)
        yield server
    finally:
        server.stop()


def manifest(bundle: Path) -> dict[str, Any]:
    """A bundle's own list of what it holds."""
    packed = subprocess.run(
        ["tar", "-xaOf", bundle, "--wildcards", "*manifest.json"],
        check=True,
        capture_output=True,
    )
    found: dict[str, Any] = json.loads(packed.stdout)
    return found


def test_evidence_of_the_living_is_kept_before_they_are_killed(
    daemon: Daemon, server: Server
) -> None:
    pid = server.pid
    server.order(SHELL)
    found = wait_for(
        lambda: [v for v in daemon.verdicts("kill") if v["response"]["action"] == "kill"], 60.0
    )
    response = found[0]["response"]
    assert (found[0]["level"], response["state"]) == ("critical", "done")
    process = read_process(pid)
    assert process is None or process.gone
    (bundle,) = (daemon.state / "evidence").glob(f"{response['containment']}-*.tar.*")
    names = [entry["name"] for entry in manifest(bundle)["members"]]
    assert f"processes/{pid}/maps" in names
    assert [name for name in names if name.startswith(f"processes/{pid}/memory/")]
    assert daemon.command("log", "verify").returncode == 0
