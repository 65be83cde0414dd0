"""Stacks of watched calls: asked for by workload, and never more than are allowed."""

from collections import Counter
from pathlib import Path

import numpy as np

from tests.host.eyes import Eyes, Gated, Seen

FILES = 23
STORM = 500
ALLOWED = 64


def ask(eyes: Eyes, gated: Gated) -> None:
    entry = np.zeros(1, eyes.sensor.schema.dtype("workload_mode"))
    entry["flags"] = eyes.sensor.schema.enum("mode_flag")["MODE_STACKS"]
    eyes.sensor.maps["modes"].set(gated.number.to_bytes(4, "little"), entry.tobytes())


def do(eyes: Eyes, *words: str | Path | int, asked: bool) -> Seen:
    with eyes.gated(*words) as gated:
        if asked:
            ask(eyes, gated)
        gated.tell()
        gated.end()
    return eyes.seen(gated.number)


def parts(seen: Seen) -> Counter[tuple[str, bool]]:
    return Counter((s.item, "words" in s.marks) for s in seen.sightings if s.kind == "stack")


def test_no_stack_is_read_of_a_workload_that_was_not_asked_for(eyes: Eyes, tmp_path: Path) -> None:
    assert parts(do(eyes, "create", FILES, tmp_path / "f", asked=False)) == {}


def test_each_first_open_has_a_stack_in_two_parts(eyes: Eyes, tmp_path: Path) -> None:
    seen = do(eyes, "create", FILES, tmp_path / "f", asked=True)
    assert parts(seen) == {("EVENT_FILE", False): FILES, ("EVENT_FILE", True): FILES}
    assert all(s.frames for s in seen.sightings if s.kind == "stack")
    assert not seen.losses.total()


def test_the_stack_of_a_child_names_the_child(eyes: Eyes) -> None:
    seen = do(eyes, "execs", 3, "/bin/true", asked=True)
    children = {s.pid for s in seen.sightings if s.kind == "exec"}
    told = {s.status[0] for s in seen.sightings if s.kind == "stack" and s.item == "EVENT_EXEC"}
    assert len(children) == 3
    assert told == children


def test_a_connect_has_the_stack_of_its_call(eyes: Eyes) -> None:
    with eyes.python(
        "import socket; gate()\n"
        "for port in (1, 2, 3): socket.socket().connect_ex(('127.0.0.1', port))\n"
    ) as gated:
        ask(eyes, gated)
        gated.tell()
        gated.end()
    told = parts(eyes.seen(gated.number))
    assert told["EVENT_PEER", False] == told["EVENT_PEER", True] == 3


def test_a_storm_of_files_is_no_storm_of_stacks(eyes: Eyes, tmp_path: Path) -> None:
    seen = do(eyes, "create", STORM, tmp_path / "f", asked=True)
    assert seen.totals["COUNT_OPENS"] >= STORM
    assert ALLOWED <= parts(seen)["EVENT_FILE", False] <= 3 * ALLOWED
