"""Trees that multiply, or leave their parents, faster than anybody looks at them are frozen whole.

By signals alone, as `agent contain` does where no agent ran since the host started; and with the
kernel's switch, as whenever one did: then who forks is stopped in the call that forks.
"""

import mmap
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.response.breaker import Breaker
from agent.response.containment import Containment, Step, Target
from agent.response.containments import Containments
from agent.response.pinned import PinnedSwitch
from agent.response.processes import children, exists, held, read_process
from tests.host.eyes import Eyes

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

LIMIT_S = 20.0
SETTLED_S = 0.1

BOMB = """
import mmap, os, struct, time
shared = mmap.mmap(os.open(sys.argv[1], os.O_RDWR), 16)
gate()
end = time.monotonic() + 20
while time.monotonic() < end:
    born, turns = struct.unpack("QQ", shared[:])
    if born < 150:
        shared[:8] = struct.pack("Q", born + 1)
        os.fork()
    shared[8:] = struct.pack("Q", turns + 1)
    time.sleep(0.001)
"""

COMET = """
import mmap, os, struct, time
shared = mmap.mmap(os.open(sys.argv[1], os.O_RDWR), 16)
gate()
end = time.monotonic() + 20
while time.monotonic() < end:
    born, turns = struct.unpack("QQ", shared[:])
    shared[:] = struct.pack("QQ", born + 1, turns + 1)
    if os.fork():
        os._exit(0)
"""
"""Every process of it has a child and exits: none lives for more than some milliseconds."""

Burning = tuple[Target, Callable[[], int]]


@contextmanager
def burning(eyes: Eyes, script: str, at: Path) -> Iterator[Burning]:
    """Such a tree, watched and begun, and how often any of it went round; all of it ends."""
    at.write_bytes(bytes(16))
    with (
        at.open("r+b") as file,
        mmap.mmap(file.fileno(), 16) as shared,
        eyes.python(script, str(at)) as gated,
    ):
        root = read_process(gated.pid)
        assert root is not None
        gated.tell()
        target = Target(f"w{gated.number}", gated.number, (root.id,))
        yield target, lambda: sum(struct.unpack("QQ", shared[:]))


def wait_for(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.002)


def everyone(pid: int) -> set[int]:
    found = {pid}
    for child in children(pid):
        process = read_process(child)
        if process is not None and not process.gone:
            found |= everyone(child)
    return found


def nothing_goes_on(rounds: Callable[[], int]) -> None:
    before = rounds()
    time.sleep(SETTLED_S)
    assert rounds() == before


def freeze(here: Containments, target: Target) -> Containment:
    return here.contain(target, Step.FREEZE, 60, "a test", "tester")


def containments(eyes: Eyes, state: Path, *, switched: bool) -> Containments:
    switch = PinnedSwitch.open(eyes.sensor.pins, eyes.sensor.schema) if switched else None
    return Containments(state, switch, breaker=Breaker(1000))


@pytest.mark.parametrize("way", ["signals", "switch"])
def test_a_fork_bomb_does_not_escape(eyes: Eyes, tmp_path: Path, way: str) -> None:
    here = containments(eyes, tmp_path, switched=way == "switch")
    with burning(eyes, BOMB, tmp_path / "shared") as (target, rounds):
        root = target.roots[0].pid
        wait_for(lambda: len(everyone(root)) > 10)
        done = freeze(here, target)
        pids = everyone(root)
        assert done.running == ()
        assert {one.pid for one in done.processes} == pids
        nothing_goes_on(rounds)
        assert everyone(root) == pids
        assert all(held(pid, patient=True) for pid in pids)
        here.contain(target, Step.KILL, None, "a test", "tester")
        assert not any(exists(one) for one in done.processes)


def test_who_leaves_its_parents_all_the_time_does_not_escape(eyes: Eyes, tmp_path: Path) -> None:
    here = containments(eyes, tmp_path, switched=True)
    with burning(eyes, COMET, tmp_path / "shared") as (target, rounds):
        wait_for(lambda: rounds() > 100)
        assert not exists(target.roots[0])
        done = freeze(here, target)
        nothing_goes_on(rounds)
        assert done.running == ()
        assert done.processes
        assert all(held(one.pid, patient=True) for one in done.processes)
        here.contain(target, Step.KILL, None, "a test", "tester")
        assert not any(exists(one) for one in done.processes)
