"""A server whose requests' bodies are tapped: nothing while they are as learned, a verdict when
they are not, no content on disk, and nothing left behind when it is forgotten."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.host.daemons import Daemon, Server, Verdict, grave, wait_for

pytestmark = pytest.mark.timeout(180)

TAP = '[tap]\nworkloads = ["tapped"]\nprefix_bytes = 256\n'
ENGLISH = [
    "what",
    "is",
    "the",
    "weather",
    "like",
    "tomorrow",
    "and",
    "which",
    "train",
    "takes",
    "me",
    "there",
    "before",
    "noon",
]
GERMAN = [
    "wie",
    "wird",
    "morgen",
    "das",
    "Wetter",
    "und",
    "welcher",
    "Zug",
    "bringt",
    "mich",
    "noch",
    "vormittags",
    "dorthin",
]
BUDGET = "false_alarms_per_month = 100.0\n"
"""There is a stretch in each quarter of a second: a month has ten million to be wrong about."""

DRIFT_S = 60.0
"""Neighbours that resemble each other count for a quarter, as where the load comes and goes."""

MARK = "a-sentence-that-nobody-else-writes"
ROUTE = "POST /"
ITEM = f"input-drift {ROUTE}"


@dataclass(slots=True)
class Scene:
    """A guarded server, and callers with something to say."""

    daemon: Daemon
    server: Server
    words: list[str] = field(default_factory=lambda: ENGLISH)
    ending: threading.Event = field(default_factory=threading.Event)

    def talk(self) -> None:
        rnd = random.Random(1)
        while not self.ending.is_set():
            text = " ".join(rnd.choices(self.words, k=50))
            self.server.do(f"answer = 1  # {MARK} {text}")

    def drift(self, since_ns: int) -> Verdict:
        """The verdict that tells of it; empty before."""
        told = self.daemon.verdicts(self.server.name)
        mine = (v for v in told for n in v["novel"] if n["item"] == ITEM)
        return next((v for v in mine if v["novel"][0]["time_ns"] >= since_ns), {})

    def tap(self) -> dict[str, Any]:
        found: dict[str, Any] = self.daemon.workload(self.server.name).get("tap", {})
        return found


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    daemon = Daemon()
    server = Server(daemon.at / "tapped")
    made = Scene(daemon, server)
    callers = [threading.Thread(target=made.talk, daemon=True) for _ in range(2)]
    try:
        daemon.configure(server.rule("kill") + BUDGET, TAP)
        server.start()
        for caller in callers:
            caller.start()
        daemon.start()
        wait_for(lambda: daemon.workload(server.name).get("state") == "guarding", 60.0)
        wait_for(lambda: ROUTE in made.tap().get("judged", ()), 60.0)
        yield made
    finally:
        made.ending.set()
        for caller in callers:
            caller.join(10)
        server.stop()
        daemon.close()


def test_what_is_asked_as_before_is_nothing(scene: Scene) -> None:
    since_ns = time.time_ns()
    time.sleep(5.0)
    assert not grave(scene.daemon.verdicts(scene.server.name, since_ns))


def test_another_language_is_a_medium_verdict_and_nothing_is_done(scene: Scene) -> None:
    since_ns = time.monotonic_ns()
    scene.words = GERMAN
    verdict = wait_for(lambda: scene.drift(since_ns), DRIFT_S)
    scene.words = ENGLISH
    (item,) = [n for n in verdict["novel"] if n["item"] == ITEM]
    assert (item["level"], item["sensitive"]) == ("medium", False)
    assert "bits or more from what was learnt" in item["reason"]
    assert "What was in them is not known" in item["reason"]
    assert "was sent other inputs for POST /" in verdict["summary"]
    assert not scene.daemon.live(scene.server.name)
    assert scene.server.answers()


def test_no_content_is_on_disk_or_in_any_verdict(scene: Scene) -> None:
    assert scene.tap()["routes"] == ["GET /", ROUTE]  # its honest callers send a body with both
    for path in scene.daemon.state.rglob("*"):
        if path.is_file():
            assert MARK.encode() not in path.read_bytes(), path


def test_it_is_counted_what_was_looked_at(scene: Scene) -> None:
    sketch = scene.daemon.status()["sensors"]["sketch"]
    assert sketch["events"] > 16 * 48
    assert sketch["lost"] == 0


def test_what_is_forgotten_leaves_nothing_and_begins_anew(scene: Scene) -> None:
    before = scene.tap()
    scene.daemon.command("baseline", "forget", scene.server.name)
    wait_for(lambda: scene.tap().get("routes"), 10.0)
    assert scene.tap()["judged"] == []
    assert scene.tap()["since_unix_s"] >= before["since_unix_s"]
    assert scene.daemon.log().count("tap.forgotten") == 1


def test_what_is_switched_off_loses_its_file_at_the_reload(scene: Scene) -> None:
    kept = scene.daemon.state / "sketches"
    wait_for(lambda: list(kept.glob("*")), 10.0)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (kept, *kept.iterdir()))
    scene.daemon.configure(scene.server.rule("kill"))
    os.kill(scene.daemon.pid, signal.SIGHUP)
    wait_for(lambda: not list(kept.glob("*")), 10.0)
    assert not scene.tap()
