"""A storm in a guarded workload: told by directory, once where it is news, and it hides nothing."""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from probes.loader import OBJECT
from probes.maps import BpfMap
from probes.schema import load
from tests.host.daemons import Daemon, Server, wait_for

pytestmark = pytest.mark.timeout(120)

NEVER_SEEN: Final = Path("/var/cache") / f"inferward-test-{os.getpid()}"
STORM: Final = """
where = type(home)({where!r})
for n in range({count}):
    (where / (chr(97 + n % 26) + chr(97 + n // 26 % 26) + "x" * (n // 676))).write_bytes(b"")
answer = 1
"""


@dataclass(slots=True)
class Scene:
    """A daemon that guards a server which was learnt to write any name into `many`."""

    daemon: Daemon
    server: Server

    def spend(self, *paces: str) -> None:
        """Leave it nothing of these allowances, as a long storm does."""
        known = load(OBJECT).enum("pace")
        number = 1  # the first workload of a daemon
        paces_map = BpfMap.pinned(self.daemon.pins, "paces")
        for pace in paces:
            slot = number * known["PACE_MAX"] + known[pace]
            spent_ns = time.monotonic_ns() + 3_600_000_000_000
            paces_map.set(slot.to_bytes(4, "little"), spent_ns.to_bytes(8, "little"))
        paces_map.close()

    def summarised(self) -> int:
        """Of the workload, since the daemon began."""
        return int(self.daemon.workload("stormy")["summarised"])

    def storm(self, where: Path, count: int) -> None:
        """Have it write so many names into a directory, and wait until they were counted."""
        before = self.summarised()
        self.spend("PACE_FILES", "PACE_CHANGES", "PACE_PLACES")
        self.server.do(STORM.format(where=str(where), count=count))
        wait_for(lambda: self.summarised() >= before + count)

    def news(self, since_ns: int, item: str) -> list[dict[str, object]]:
        """What was told of this item."""
        return [
            novel
            for verdict in self.daemon.verdicts("stormy", since_ns)
            for novel in verdict["novel"]
            if novel["item"] == item and novel["level"] != "info"
        ]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    daemon = Daemon()
    server = Server(daemon.at / "stormy")
    try:
        NEVER_SEEN.mkdir()
        server.start()
        many = server.home / "many"
        many.mkdir()
        daemon.configure(server.rule("alert")).start()
        wait_for(lambda: daemon.workload("stormy").get("pids"))
        server.do(STORM.format(where=str(many), count=60))
        wait_for(lambda: daemon.workload("stormy")["state"] == "guarding", 60.0)
        yield Scene(daemon, server)
    finally:
        server.stop()
        daemon.close()
        shutil.rmtree(NEVER_SEEN, ignore_errors=True)


def test_a_crowd_where_any_name_was_learned_is_no_news(scene: Scene) -> None:
    since_ns = time.time_ns()
    many = scene.server.home / "many"
    scene.storm(many, 500)
    time.sleep(1.0)
    assert not scene.news(since_ns, f"{many}/*")


def test_a_crowd_where_it_never_wrote_is_told_once(scene: Scene) -> None:
    since_ns = time.time_ns()
    for _ in range(3):
        scene.storm(NEVER_SEEN, 200)
        shutil.rmtree(NEVER_SEEN)
        NEVER_SEEN.mkdir()
    time.sleep(1.0)
    (told,) = scene.news(since_ns, f"{NEVER_SEEN}/*")
    assert told["level"] == "medium"
    assert told["count"] == 200


def test_a_secret_read_in_a_storm_is_told_as_high(scene: Scene) -> None:
    since_ns = time.time_ns()
    scene.spend("PACE_FILES", "PACE_CHANGES", "PACE_PLACES")
    many = scene.server.home / "many"
    storm = STORM.format(where=str(many), count=3000)
    scene.server.do(f"{storm}\nopen('/etc/shadow').close()\n{storm}")

    def told() -> list[dict[str, object]]:
        return scene.news(since_ns, "/etc/shadow")

    (novel,) = wait_for(told)
    assert novel["level"] in {"high", "critical"}


def test_every_record_is_accounted_for(scene: Scene) -> None:
    scene.storm(scene.server.home / "many", 300)
    stages = {stage["stage"]: stage for stage in scene.daemon.status()["stages"]}
    kernel, crowds = stages["kernel"], stages["crowds"]
    assert kernel["in"] == kernel["out"] + kernel["summarised"] + sum(kernel["lost"].values())
    assert crowds["in"] == kernel["summarised"]
    assert not any("unexplained" in stage["lost"] for stage in stages.values())
