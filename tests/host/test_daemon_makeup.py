"""A server that starts with another model asks for a decision, and does not alarm on everything."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.host.daemons import Daemon, Server, rank, wait_for

pytestmark = pytest.mark.timeout(150)

LOAD = "open(home / 'model.onnx', 'rb').read(); answer = 1"


@dataclass(slots=True)
class Change:
    """A guarding daemon, its server, and the server's model."""

    daemon: Daemon
    server: Server

    @property
    def model(self) -> Path:
        """Where the model lies."""
        return self.server.home / "model.onnx"

    def state(self) -> str:
        """Of the baseline."""
        return str(self.daemon.workload(self.server.name).get("state"))

    def baseline(self) -> dict[str, Any]:
        """Its line of the list."""
        listed = self.daemon.json("baseline", "list")
        return next(dict(one) for one in listed if one["workload"] == self.server.name)

    def restart(self, size_bytes: int) -> None:
        """Stop the server, put a model of that size in place, start it again."""
        self.server.stop()
        self.model.write_bytes(bytes(size_bytes))
        self.server.start()
        self.server.do(LOAD)


@pytest.fixture(scope="module")
def change() -> Iterator[Change]:
    daemon = Daemon()
    server = Server(daemon.at / "changing")
    change = Change(daemon, server)
    try:
        daemon.configure(server.rule("alert")).start()
        server.home.mkdir()
        change.model.write_bytes(bytes(1000))
        server.start()
        wait_for(lambda: daemon.workload(server.name))
        server.do(LOAD)
        wait_for(lambda: change.state() == "guarding", 90.0)
        yield change
    finally:
        server.stop()
        daemon.close()


def test_the_baseline_names_the_program_and_the_model_it_was_learned_with(change: Change) -> None:
    shown = change.daemon.json("baseline", "show", "changing")
    assert shown["made_of"][str(change.model)].startswith("1,000 bytes of ")
    assert "build " in shown["made_of"]["executable"]
    assert "guards since" in change.daemon.command("baseline", "show", "changing").stdout


def test_a_model_changed_below_a_running_server_excuses_nothing(change: Change) -> None:
    kept = change.model.stat()
    change.model.write_bytes(bytes(1500))
    time.sleep(4.0)  # some looks at /proc
    assert change.state() == "guarding"
    change.model.write_bytes(bytes(1000))
    os.utime(change.model, ns=(kept.st_atime_ns, kept.st_mtime_ns))


def test_another_model_questions_the_baseline_and_says_what_to_decide(change: Change) -> None:
    began_ns = time.time_ns()
    change.restart(2000)
    wait_for(lambda: change.state() == "questioned", 30.0)

    def asked() -> bool:
        told = change.daemon.verdicts("changing", began_ns)
        return any("agent baseline learn changing" in one["summary"] for one in told)

    wait_for(asked, 30.0)
    assert str(change.model) in change.daemon.command("status").stdout
    wait_for(lambda: "2,000 bytes" in change.baseline()["reason"])


def test_a_decision_keeps_the_baseline_for_the_new_model(change: Change) -> None:
    done = change.daemon.command("baseline", "approve", "changing", "--changed")
    assert done.returncode == 0, done.stderr
    wait_for(lambda: change.state() == "guarding")
    again = change.daemon.command("baseline", "approve", "changing", "--changed")
    assert again.returncode == 4


def test_nothing_graver_than_the_question_was_told_of_the_server_itself(change: Change) -> None:
    time.sleep(2.0)
    own = [v for v in change.daemon.verdicts("changing") if "does not belong" not in v["summary"]]
    assert max(map(rank, own)) <= 2, [v["summary"] for v in own]
