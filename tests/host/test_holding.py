"""What is taken from under a running agent is noticed, and put back without losing a count."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from collectors.counters import Counters
from probes import libbpf
from probes.holding import LINKS
from probes.loader import Sensor, remove
from tests.host.eyes import DEEDS, Eyes, Gated

CALLS = 1009


@pytest.fixture
def held(eyes: Eyes, own_pins: Path) -> Iterator[Sensor]:
    sensor = Sensor.open(own_pins)
    yield sensor
    sensor.close()


@contextmanager
def walker(sensor: Sensor) -> Iterator[Gated]:
    """A watched program at its gate, and its calls."""
    gated = Gated([DEEDS, "calls", str(CALLS)], 1)
    entry = np.zeros(1, sensor.schema.dtype("member"))
    entry["workload"] = 1
    sensor.maps["members"].set(gated.pid.to_bytes(4, "little"), entry.tobytes())
    sensor.adopt()
    try:
        yield gated
    finally:
        gated.process.kill()
        gated.process.communicate()


def counted(counters: Counters) -> int:
    """Calls of the walker since the last reading."""
    return int(counters.read().grams["count"].sum())


def words(sensor: Sensor) -> list[str]:
    return [str(damage) for damage in sensor.holding.inspect()]


def other_map(path: Path) -> None:
    """Somebody else's map under this name."""
    subprocess.run(
        ["bpftool", "map", "create", path, "type", "array", "key", "4", "value", "8",
         "entries", "7", "name", path.name[:15]],
        check=True,
    )  # fmt: skip


def test_what_was_left_alone_has_no_damage(held: Sensor) -> None:
    assert words(held) == []


def test_a_removed_pin_detaches_nothing_and_comes_back(held: Sensor, tmp_path: Path) -> None:
    counters = Counters(held, tmp_path)
    with walker(held) as gated:
        (held.pins / LINKS / "on_sys_exit").unlink()
        (held.pins / "totals").unlink()
        assert words(held) == ["on_sys_exit lost its pin", "map totals lost its pin"]
        gated.tell()
        gated.end()
        assert held.holding.heal() == []
        assert words(held) == []
    assert counted(counters) >= CALLS
    again = Sensor.open(held.pins)
    assert again.resumed
    again.close()


def test_a_detached_cgroup_link_is_attached_again(held: Sensor) -> None:
    pin = held.pins / LINKS / "on_connect4"
    subprocess.run(["bpftool", "link", "detach", "pinned", pin], check=True)
    assert words(held) == ["on_connect4 was detached from its hook"]
    assert held.holding.heal() == []
    assert words(held) == []


def test_a_link_with_another_program_gets_its_own_back(held: Sensor) -> None:
    mine, other = (held.holding.attachments[name] for name in ("on_connect4", "on_sendmsg4"))
    assert mine.in_cgroup
    # Of the same attach type: a program of a second agent.
    second = held.pins.with_name(f"{held.pins.name}-second")
    try:
        sensor = Sensor.open(second)
        stranger = sensor.holding.attachments["on_connect4"].program
        assert libbpf.library().bpf_link_update(mine.link, stranger, None) == 0
        sensor.close()
    finally:
        remove(second)
    assert words(held) == ["on_connect4 was replaced at its hook by another program"]
    assert held.holding.heal() == []
    assert words(held) == []
    assert other.inspect() == ""


def test_a_name_given_to_another_map_is_taken_back(held: Sensor, tmp_path: Path) -> None:
    counters = Counters(held, tmp_path)
    (held.pins / "grams").unlink()
    other_map(held.pins / "grams")
    assert words(held) == ["map grams has its pin's name given to something else"]
    with walker(held) as gated:
        gated.tell()
        gated.end()
    assert held.holding.heal() == []
    again = Sensor.open(held.pins)
    assert again.resumed
    assert again.maps["grams"].id == held.maps["grams"].id
    again.close()
    assert counted(counters) >= CALLS


def test_all_pins_removed_at_once_come_back(held: Sensor) -> None:
    before = {name: each.id for name, each in held.maps.items()}
    remove(held.pins)
    assert len(words(held)) == len(held.maps) + len(held.links())
    assert held.holding.heal() == []
    again = Sensor.open(held.pins)
    assert again.resumed
    assert {name: each.id for name, each in again.maps.items()} == before
    again.close()


def test_a_map_renamed_while_no_agent_ran_is_found_by_its_programs(own_pins: Path) -> None:
    sensor = Sensor.open(own_pins)
    before = sensor.maps["totals"].id
    sensor.close()
    (own_pins / "totals").unlink()
    other_map(own_pins / "totals")
    again = Sensor.open(own_pins)
    assert again.resumed
    assert again.maps["totals"].id == before
    assert [str(damage) for damage in again.damage] == [
        "map totals had lost its name while no agent ran"
    ]
    again.close()


def test_a_bpffs_that_is_gone_is_told_and_what_is_held_goes_on(eyes: Eyes, tmp_path: Path) -> None:
    place = tmp_path / "bpf"
    place.mkdir()
    subprocess.run(["mount", "-t", "bpf", "bpf", place], check=True)
    sensor = Sensor.open(place / "pins")
    counters = Counters(sensor, tmp_path / "run")
    try:
        subprocess.run(["umount", place], check=True)
        assert words(sensor) == [f"{place}/pins is no longer in a mounted bpffs"]
        with walker(sensor) as gated:
            gated.tell()
            gated.end()
        assert counted(counters) >= CALLS
        subprocess.run(["mount", "-t", "bpf", "bpf", place], check=True)
        assert sensor.holding.heal() == []
        assert words(sensor) == []
    finally:
        sensor.close()
        subprocess.run(["umount", place], check=False)
        assert os.path.ismount(place) is False
