"""What a reflex adds to the calls that it answers, by the programs' own time."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from probes.loader import Sensor, remove
from probes.reflex import ACTS, Grant, Order, ReflexMaps, of_file, of_peer
from probes.sensitive import kernel_device
from tests.bench.calls import LOOP, statistics
from tests.bench.deeds import Program
from tests.bench.figures import AT_MOST, Figure, Goal
from tests.bench.rig import run

GOAL: Final = Goal(AT_MOST, 20.0)
WORKLOAD: Final = 1
UDP: Final = 17
ROUNDS: Final = 5
DEEDS: Final = (
    ("exec", "exec", 400, ("on_exec", "guard_reflex_exec")),
    ("open", "secret", 40_000, ("on_sys_exit", "guard_file_open")),
    ("connect", "connect", 40_000, ("on_connect4",)),
)
"""Deed of the loop, reflex, how often, and the programs that know of it."""


def measure(directory: Path, pins: Path) -> Iterator[Figure]:
    """Yield microseconds added by the reflex to a learnt exec, open and connect."""
    program, sensor = Program(directory, LOOP), Sensor.open(pins)
    try:
        maps = ReflexMaps(sensor.maps, sensor.schema)
        member = np.zeros(1, sensor.schema.dtype("member"))
        member["workload"] = WORKLOAD
        sensor.maps["members"].set(np.uint32(program.pid).tobytes(), member.tobytes())
        sensor.adopt()
        maps.allow(WORKLOAD, _learnt(program.pid))
        with statistics():
            for deed, act, count, names in DEEDS:
                attached = [name for name in names if name in sensor.links()]
                without, with_it = [], []
                for _ in range(ROUNDS):
                    _order(maps, "")
                    without.append(_ns(program, deed, count, pins, attached))
                    _order(maps, act)
                    with_it.append(_ns(program, deed, count, pins, attached))
                added = (min(with_it) - min(without)) / 1000
                note = f"{min(without) / 1000:.1f} \u00b5s of BPF without, {', '.join(attached)}"
                yield Figure(f"reflex added to a learnt {deed}", added, "\u00b5s", GOAL, note)
    finally:
        program.end()
        sensor.close()
        remove(pins)


def _learnt(pid: int) -> tuple[Grant, ...]:
    found = Path(f"/proc/{pid}/exe").stat()
    program = of_file(ACTS["exec"], kernel_device(found.st_dev), found.st_ino)
    return program, of_peer(UDP, "127.0.0.1", 9)


def _order(maps: ReflexMaps, act: str) -> None:
    acts = frozenset({act} if act else ())
    maps.order(WORKLOAD, Order(acts, time.monotonic_ns() + 600 * 10**9, 8, 600.0))


def _ns(program: Program, deed: str, count: int, pins: Path, names: list[str]) -> float:
    """Nanoseconds of these programs for each deed; those of other processes are in it, too."""
    before = _spent(pins, names)
    program.ns_per_deed(deed, count)
    return (_spent(pins, names) - before) / count


def _spent(pins: Path, names: list[str]) -> int:
    total = 0
    for name in names:
        link = json.loads(run("bpftool", "--json", "link", "show", "pinned", pins / "links" / name))
        shown = json.loads(run("bpftool", "--json", "prog", "show", "id", link["prog_id"]))
        total += int(shown.get("run_time_ns", 0))
    return total
