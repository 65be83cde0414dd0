"""Programs that act in a loop: tests/vm/guest/acts.c, one act each, and what became of it."""

import os
import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen

from agent.response.containment import Target
from agent.response.processes import read_process, thread_states
from tests.host.eyes import LIMIT_S, Eyes
from tests.vm.guest.guard import ACTS, Act

LOOP_S = 30.0
SETTLED_S = 0.1


@dataclass(frozen=True, slots=True)
class Actor:
    """A program that acts in a loop, and what it has counted."""

    process: Popen[str]
    target: Target
    tally: Path

    def done(self) -> int:
        """How often the act succeeded so far."""
        return int(struct.unpack("QQ", self.tally.read_bytes()[:16])[1])

    def tried(self) -> int:
        """How often it was tried."""
        return int(struct.unpack("QQ", self.tally.read_bytes()[:16])[0])

    def go(self) -> None:
        """Begin the next phase."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")


@contextmanager
def acting(eyes: Eyes, act: Act, tally: Path) -> Iterator[Actor]:
    """One, watched and not begun; ended however it goes."""
    tally.write_bytes(bytes(4096))
    with Popen(
        [ACTS, act.name, str(LOOP_S), *act.arguments],
        stdin=PIPE, stdout=PIPE, text=True, bufsize=1, start_new_session=True,
        env={"ACTS_TALLY": str(tally)},
    ) as process:  # fmt: skip
        number = eyes.workload()
        try:
            wait_for(lambda: thread_states(process.pid) == {"S"})  # past its own exec
            eyes.watch(process.pid, number)
            found = read_process(process.pid)
            assert found is not None
            yield Actor(process, Target(f"w{number}", number, (found.id,)), tally)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def begin(actor: Actor) -> None:
    """Through the free phase, into the long one."""
    assert actor.process.stdout is not None
    actor.go()
    actor.process.stdout.readline()
    before = actor.tried()
    actor.go()
    wait_for(lambda: actor.tried() > before)


def wait_for(condition: Callable[[], object], timeout_s: float = LIMIT_S) -> None:
    """AssertionError if it does not come true in time."""
    give_up = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.002)


def stopped(pid: int) -> bool:
    """Whether every thread of it stands still."""
    return thread_states(pid) <= {"T"}


def child_of(pid: int) -> int:
    """Its first child; 0 if it has none."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else 0
