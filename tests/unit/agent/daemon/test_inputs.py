"""The content tap's own life: one salt, one file, one age, and nothing left of what is over."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agent.config.schema import Settings, Tap
from agent.daemon.baselines import BaselineFiles
from agent.daemon.inputs import Inputs, Tapped
from collectors.sightings import Sighting
from detectors.assessment import BaselineState
from detectors.baseline import Baseline
from detectors.errors import BaselineCorruptError
from detectors.inputs import CALIBRATION, REFERENCE
from probes import schema
from probes.loader import OBJECT

NAME, NUMBER, DAY_S = "embedder", 3, 86_400.0
TYPES = schema.load(OBJECT)


@dataclass
class Kept:
    """A map in this process's memory; the host's tests have the kernel's."""

    value_bytes: int
    max_entries: int = 512
    entries: dict[bytes, bytes] = field(default_factory=dict)

    def get(self, key: bytes) -> bytes | None:
        return self.entries.get(key)

    def set(self, key: bytes, value: bytes) -> None:
        self.entries[key] = value

    def delete(self, key: bytes) -> bool:
        return self.entries.pop(key, None) is not None

    def items(self) -> tuple[Any, Any]:
        keys, values = (b"".join(rows) for rows in (self.entries, self.entries.values()))
        many = len(self.entries)
        key_bytes = len(keys) // max(many, 1)
        return (
            np.frombuffer(keys, np.uint8).reshape(many, key_bytes),
            np.frombuffer(values, np.uint8).reshape(many, self.value_bytes),
        )


class Host:
    """What a daemon has of parts that the tap asks for."""

    def __init__(self, state: Path, tap: Tap) -> None:
        structs = {"modes": "workload_mode", "sketches": "sketch", "routes": "route_counts"}
        self.maps = {name: Kept(TYPES.dtype(of).itemsize) for name, of in structs.items()}
        self.sensor = SimpleNamespace(maps=self.maps, schema=TYPES)
        self.settings = Settings(tap=tap)
        self.baselines = BaselineFiles(state)
        found = SimpleNamespace(id=NUMBER)
        self.registry = SimpleNamespace(workloads={NAME: found, "other": SimpleNamespace(id=4)})
        self.membership = SimpleNamespace(role_of=str)
        self.told: list[Sighting] = []
        self.baseline = Baseline(NAME)
        budget = SimpleNamespace(false_alarms_per_month=100.0)
        judge = SimpleNamespace(baseline=self.baseline, settings=budget)
        see = SimpleNamespace(judge=judge, see=lambda seen, _: self.told.extend(seen))
        self.watchers = {NAME: see}
        self.now_s = 1.7e9
        self.again()

    def again(self) -> None:
        """Another agent over the same kernel and disk."""
        daemon: Any = self
        self.inputs = Inputs(daemon, lambda: self.now_s)

    def mode(self, number: int = NUMBER) -> np.void:
        raw = self.maps["modes"].get(number.to_bytes(4, "little"))
        entry = TYPES.dtype("workload_mode")
        row: np.void = np.frombuffer(raw or bytes(entry.itemsize), entry)[0]
        return row

    def bodies(self, first: int, width: int = 200, seed: int = 0) -> None:
        """Have the kernel count sixteen requests more, whose 3-grams fall on some counters."""
        key = np.zeros(1, TYPES.dtype("route_key"))
        key["route"], key["workload"], key["method"] = 77, NUMBER, 3
        row = np.zeros(1, TYPES.dtype("route_counts"))
        row["method"], row["path"] = b"POST", b"/v1/x"
        self.maps["routes"].set(key.tobytes(), row.tobytes())
        sketch = np.zeros(1, TYPES.dtype("sketch"))
        if (raw := self.maps["sketches"].get(key.tobytes())) is not None:
            sketch = np.frombuffer(raw, sketch.dtype).copy()
        sketch["requests"] += 16
        drawn = np.random.default_rng(seed).integers(first, first + width, 5000)
        sketch["counts"] += np.bincount(drawn, minlength=256).astype(np.uint32)
        self.maps["sketches"].set(key.tobytes(), sketch.tobytes())

    def learn(self) -> None:
        for at in range(REFERENCE + CALIBRATION):
            if at == REFERENCE:
                self.baseline.state = BaselineState.SHADOW
            self.bodies(0, seed=at)
            self.inputs.look(1.0)
        self.baseline.state = BaselineState.GUARDING


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path, Tap(workloads=(NAME,), prefix_bytes=300, retention_days=7))
    made.inputs.look(1.0)  # the first look asks the kernel
    return made


def files(host: Host) -> list[str]:
    return sorted(path.name for path in (host.baselines.state / "sketches").glob("*"))


def test_off_by_default_and_then_nothing_is_asked_for(tmp_path: Path) -> None:
    host = Host(tmp_path, Tap())
    host.bodies(0)
    host.inputs.look(1.0)
    assert not host.mode()["tap_bytes"]
    assert files(host) == []


def test_only_what_is_named_is_tapped(host: Host) -> None:
    assert host.mode()["tap_bytes"] == 300
    assert host.mode()["salt"].all()
    assert not host.mode(4)["tap_bytes"]


def test_what_guards_has_stacks_and_keeps_its_tap(host: Host) -> None:
    host.inputs.modes.follow(NUMBER, BaselineState.GUARDING)
    assert (host.mode()["flags"], host.mode()["tap_bytes"]) == (1, 300)


def test_a_drift_is_told_once_in_the_words_of_its_route(host: Host) -> None:
    host.learn()
    for at in range(40):
        host.bodies(50, seed=at)
        host.inputs.look(1.0)
    (told,) = host.told
    assert (told.kind, told.item, told.workload) == ("inputs", "input-drift POST /v1/x", NUMBER)
    assert "POST /v1/x" in told.other


def test_in_its_shadow_nothing_is_told(host: Host) -> None:
    host.learn()
    host.baseline.state = BaselineState.SHADOW
    for at in range(40):
        host.bodies(50, seed=at)
        host.inputs.look(1.0)
    assert not host.told


def test_what_was_learned_survives_a_restart_with_its_salt(host: Host) -> None:
    host.learn()
    salt = host.mode()["salt"].tolist()
    host.inputs.close()
    assert not host.mode()["tap_bytes"]
    host.again()
    host.inputs.look(1.0)
    assert host.mode()["salt"].tolist() == salt
    assert host.inputs.status(NAME)["judged"] == ["POST /v1/x"]


@pytest.mark.parametrize("running", [True, False])
def test_after_the_retention_salt_and_counts_are_gone(host: Host, *, running: bool) -> None:
    host.learn()
    salt = host.mode()["salt"].tolist()
    if not running:
        host.inputs.close()
    host.now_s += 7 * DAY_S - 1
    if not running:
        host.again()
    host.inputs.look(1.0)
    assert host.inputs.status(NAME)["judged"]
    assert files(host) == [f"{NAME}.sketch"]
    host.now_s += 1
    if not running:
        host.again()
    host.inputs.look(1.0)
    assert host.inputs.status(NAME)["routes"] == []
    assert host.mode()["salt"].tolist() != salt
    assert not host.maps["sketches"].entries
    assert files(host) == []


def test_what_is_kept_of_a_workload_that_is_gone_does_not_outlive_its_time(host: Host) -> None:
    host.learn()
    host.inputs.close()
    host.registry.workloads.clear()
    host.again()
    host.inputs.look(1.0)
    assert files(host) == [f"{NAME}.sketch"]
    host.now_s += 7 * DAY_S
    host.inputs.look(1.0)
    assert files(host) == []


def test_what_is_forgotten_is_gone_from_disk_memory_and_kernel(host: Host) -> None:
    host.learn()
    host.inputs.forget(NAME)
    assert files(host) == []
    assert host.inputs.status(NAME) == {}
    assert not host.mode()["tap_bytes"]
    assert not host.maps["sketches"].entries


def test_what_is_no_longer_named_leaves_nothing(host: Host) -> None:
    host.learn()
    host.settings = Settings()
    host.inputs.look(1.0)
    assert files(host) == []
    assert not host.mode()["tap_bytes"]
    assert not host.mode()["salt"].any()


def test_other_bytes_of_each_body_are_learned_anew(host: Host) -> None:
    host.learn()
    host.settings = Settings(tap=Tap(workloads=(NAME,), prefix_bytes=400))
    host.inputs.look(1.0)
    assert host.inputs.status(NAME)["routes"] == []
    assert host.mode()["tap_bytes"] == 400


def test_a_file_of_another_host_or_a_damaged_one_is_not_believed(host: Host) -> None:
    host.learn()
    host.inputs.close()
    path = host.baselines.state / "sketches" / f"{NAME}.sketch"
    raw = bytearray(path.read_bytes())
    raw[60] ^= 1
    path.write_bytes(raw)
    host.again()
    host.inputs.look(1.0)
    assert host.inputs.status(NAME)["routes"] == []


def test_a_secret_is_in_no_repr() -> None:
    assert "b'x" not in repr(Tapped(b"x" * 16, 0.0, 512))


def test_a_file_without_its_salt_is_none() -> None:
    with pytest.raises(BaselineCorruptError):
        Tapped.from_bytes(Baseline(NAME).to_bytes())
