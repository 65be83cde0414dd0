"""The life of operator probes, with workers that only act as told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.daemon.lineage import Lineage
from agent.operator import probes as module
from agent.operator.declaration import Declaration, Fields
from agent.operator.directory import Found
from agent.operator.probes import MOST_CRASHES, OperatorProbes
from collectors.sightings import Sighting

SECOND_NS = 1_000_000_000


class Worker:
    """Remembers what it was sent."""

    pid = 77

    def __init__(self, job: dict[str, Any], hear: Callable[[list[Any]], None], _: object) -> None:
        self.job, self.hear = job, hear
        self.sent: list[Any] = []
        self.how: str | None = None
        self.stopped = False

    def send(self, message: object) -> bool:
        self.sent.append(message)
        return True

    def flush(self) -> bool:
        return True

    def ended(self) -> str | None:
        return self.how

    def stop(self) -> None:
        self.stopped = True


class Scene:
    """Probes over a directory, members and a clock that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.found = [self.one()]
        self.members = {10: (1, 0)}
        self.routed: list[Sighting] = []
        self.known: set[str] = set()
        self.now_s = 100.0
        monkeypatch.setattr(module, "Worker", Worker)
        monkeypatch.setattr(module, "look", lambda _: self.found)
        monkeypatch.setattr("agent.operator.probes.time.monotonic", lambda: self.now_s)
        self.probes = OperatorProbes(
            tmp_path, tmp_path, lambda: self.members, {1: "srv"}.get, Lineage(),
            lambda s: s.item in self.known, self.routed.extend, lambda act: act(),
        )  # fmt: skip
        self.probes.load()

    @staticmethod
    def one(source: str = "", **more: Any) -> Found:  # noqa: ANN401 - as Declaration takes them
        declared = Declaration(description="d", fields=Fields(item=("x",)), **more)
        return Found("one", source, declared)

    @property
    def probe(self) -> module.Probe:
        return self.probes.probes["one"]

    @property
    def worker(self) -> Any:  # noqa: ANN401 - the stand-in above
        return self.probe.worker

    def tick(self, after_s: float = 0.5) -> None:
        self.now_s += after_s
        self.probes.tick(0)

    def event(self, pid: int = 10, at_s: float = 1.0, item: str = "one: x=1") -> None:
        row = [pid, round(at_s * SECOND_NS), item, 2, {"bytes": 5}]
        self.worker.hear(["events", 2, 0, [row]])


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Scene:
    return Scene(monkeypatch, tmp_path)


def test_an_event_becomes_a_sighting_of_its_workload(scene: Scene) -> None:
    scene.worker.hear(["attached", ["uprobe x"], []])
    scene.event()
    (one,) = scene.routed
    assert (one.kind, one.item, one.workload, one.count) == ("probe", "one: x=1", 1, 2)
    assert one.marks == {"level-low"}
    assert one.fields == (("bytes", 5),)
    assert scene.probe.as_json() | {"attached": 0} == {
        "name": "one", "description": "d", "state": "on", "failing": False, "reason": "",
        "events": 2, "lost": 0, "unwatched": 0, "sums": {"bytes": 5}, "attached": 0, "pid": 77,
    }  # fmt: skip


def test_an_event_of_nobody_watched_is_counted_and_goes_nowhere(scene: Scene) -> None:
    scene.event(pid=99)
    assert (scene.routed, scene.probe.unwatched) == ([], 2)


def test_an_event_that_outlives_its_process_is_still_its_workloads(scene: Scene) -> None:
    gone = Sighting("exit", "", 1, 2, 0, 50, 10, 0, 0, 0, "")
    scene.probes.depart([gone])
    scene.event(pid=50)
    assert [(s.workload, s.role) for s in scene.routed] == [(1, 2)]


def test_an_event_of_a_workload_that_was_not_asked_for_goes_nowhere(scene: Scene) -> None:
    scene.found = [scene.one(workloads=("other-*",))]
    scene.probes.load()
    scene.event()
    assert scene.routed == []


def test_what_is_learned_is_not_told_and_what_is_not_is_told_once_a_second(scene: Scene) -> None:
    scene.known.add("one: x=2")
    scene.event(item="one: x=2")
    for at_s in (1.0, 1.4, 1.9, 2.5):
        scene.event(at_s=at_s)
    assert [s.time_ns / SECOND_NS for s in scene.routed] == [1.0, 2.5]


def test_a_failure_switches_off_with_its_reason_until_the_file_changes(scene: Scene) -> None:
    worker = scene.worker
    worker.hear(["failed", "it floods"])
    assert worker.stopped
    scene.tick(1000.0)
    assert (scene.probe.state, scene.probe.reason) == ("off", "it floods")
    assert scene.probes.failing() == ["operator probe one is off: it floods"]
    scene.probes.load()
    assert scene.probe.state == "compiling"


def test_a_reload_leaves_alone_what_did_not_change(scene: Scene) -> None:
    before = scene.worker
    scene.probes.load()
    assert scene.worker is before
    scene.found = [scene.one("int x;")]
    scene.probes.load()
    assert before.stopped
    assert scene.worker is not before
    scene.found = []
    scene.probes.load()
    assert scene.probes.probes == {}


def test_a_crash_restarts_it_later_each_time_and_at_last_not_at_all(scene: Scene) -> None:
    waits = []
    for _ in range(MOST_CRASHES - 1):
        scene.worker.how = "its worker was ended by SIGSEGV"
        scene.tick()
        assert scene.probe.state == "restarting"
        began_s = scene.now_s
        while scene.probe.state == "restarting":
            scene.tick()
        waits.append(scene.now_s - began_s)
    assert waits == [1.0, 2.0, 4.0, 8.0]
    scene.worker.how = "its worker was ended by SIGSEGV"
    scene.tick()
    assert scene.probe.state == "off"
    assert "SIGSEGV, 5 times in a row" in scene.probe.reason


def test_a_worker_that_says_nothing_is_ended_and_started_again(scene: Scene) -> None:
    worker = scene.worker
    worker.hear(["attached", ["uprobe x"], []])
    scene.tick(module.SILENT_S + 1)
    assert worker.stopped
    assert scene.probe.state == "restarting"


def test_a_compiler_that_does_not_end_is_switched_off(scene: Scene) -> None:
    scene.tick(module.COMPILE_S + 1)
    assert scene.probe.state == "off"
    assert "did not compile" in scene.probe.reason


def test_workers_are_told_of_members_when_these_change(scene: Scene) -> None:
    scene.tick()
    scene.tick()
    scene.members = {10: (1, 0), 11: (1, 0)}
    scene.tick()
    assert scene.worker.sent == [[10], [10, 11]]


def test_a_probe_that_waits_for_a_library_says_which(scene: Scene) -> None:
    scene.worker.hear(["attached", [], ["libssl.so.3 is in no watched process yet"]])
    assert (scene.probe.state, scene.probe.reason) == (
        "waiting",
        "libssl.so.3 is in no watched process yet",
    )
    assert scene.probes.failing() == []


def test_disabled_is_off_and_well(scene: Scene) -> None:
    scene.found = [scene.one(enabled=False)]
    scene.probes.load()
    assert scene.probe.state == "off"
    assert scene.worker is None
    assert scene.probes.failing() == []
