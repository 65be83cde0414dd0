"""Killed before, after and in the middle of every write to the journal; and the power cut."""

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from agent.response.containment import Containment, ProcessId, State, Step, Target
from agent.response.containments import Containments
from agent.response.pinned import PinnedSwitch
from agent.response.processes import exists, held
from probes.loader import Sensor
from tests.host.test_response_crash import (
    UNLIMITED,
    Start,
    members,
    runs,
    sensor,
    start,
    switch,
)
from tests.host.test_response_reuse import inside

__all__ = ["sensor", "start", "switch"]

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.timeout(200),
]

TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
TREE: Final = "sleep 60 & wait"
CALLS: Final = ("pwrite", "fsync", "fdatasync", "link", "replace")
"""How the journal gets onto the disk."""

MODES: Final = ("before", "torn", "after")

Act = Callable[[Containments, Target], object]


def order(step: Step, for_s: float | None = 60) -> Act:
    def act(here: Containments, target: Target) -> Containment:
        limits = {"public": 1}
        return here.contain(target, step, for_s, "a test", "tester", upload_bytes=limits)

    return act


def release(here: Containments, _target: Target) -> object:
    return here.release_all()


def expire(here: Containments, _target: Target) -> object:
    return here.expire(1 << 62)


def recover(here: Containments, _target: Target) -> object:
    return here.recover()


ACTS: Final[dict[str, tuple[tuple[Act, ...], Act]]] = {
    "limit": ((), order(Step.LIMIT)),
    "contain": ((), order(Step.CONTAIN)),
    "freeze": ((), order(Step.FREEZE)),
    "kill": ((), order(Step.KILL)),
    "raise": ((order(Step.CONTAIN),), order(Step.FREEZE)),
    "prolong": ((order(Step.FREEZE),), order(Step.FREEZE, 600)),
    "release": ((order(Step.FREEZE),), release),
    "expire": ((order(Step.FREEZE),), expire),
    "compact": ((order(Step.FREEZE),), recover),
}
"""What is done before, and what is done while it is killed."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _fail_at(turn: int, mode: str) -> None:
    """Have this process killed at the journal's `turn`th call."""
    left = turn

    def wrapped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the call has
            nonlocal left
            if mode == "torn" and name != "pwrite":
                return real(*args, **kwargs)
            left -= 1
            if left == 0 and mode == "before":
                _die()
            if left == 0 and mode == "torn":
                real(args[0], bytes(args[1])[: len(args[1]) // 2], args[2])
                _die()
            done = real(*args, **kwargs)
            if left == 0 and mode == "after":
                _die()
            return done

        return call

    for name in CALLS:
        setattr(os, name, wrapped(name, getattr(os, name)))


def killed(
    act: Act, state: Path, switch: PinnedSwitch, target: Target, at: tuple[int, str]
) -> bool:
    """Do it in a process that is killed at that call; False if it came to its end before."""
    pid = os.fork()
    if pid == 0:
        code = 1
        with suppress(BaseException):
            here = Containments(state, switch, breaker=UNLIMITED)
            _fail_at(*at)
            act(here, target)
            code = 0
        os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def agree(here: Containments, switch: PinnedSwitch, target: Target) -> None:
    """What is contained is listed, and what is listed is contained."""
    live = {one.target.workload_id: min(one.step, Step.FREEZE) for one in here.live()}
    assert {number: one.step for number, one in switch.switched().items()} == live
    assert all(one.state is State.DONE for one in here.live())
    frozen = live.get(target.workload_id) is Step.FREEZE
    assert all(held(pid, patient=True) == frozen for pid in members(switch, target.workload_id))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ACTS)
def test_killed_at_any_write_of_the_journal_the_next_one_agrees_with_the_kernel(
    name: str, mode: str, tmp_path: Path, switch: PinnedSwitch, start: Start
) -> None:
    before, act = ACTS[name]
    for turn in range(1, 100):
        state = tmp_path / str(turn)
        target = start("sh", "-c", TREE)
        for each in before:
            each(Containments(state, switch, breaker=UNLIMITED), target)
        died = killed(act, state, switch, target, (turn, mode))
        here = Containments(state, switch, breaker=UNLIMITED)
        here.recover()
        agree(here, switch, target)
        assert here.set_aside == ()
        here.release_all()
        assert switch.switched() == {}
        assert all(runs(pid) for pid in members(switch, 1))
        end(target)
        if not died:
            break
    assert not died
    assert turn > 1


def stopped_by_the_kernel(sensor: Sensor, target: Target) -> None:
    """Stop its root, and note it where a reflex does."""
    root = target.roots[0]
    os.kill(root.pid, signal.SIGSTOP)
    value = np.zeros(1, sensor.schema.dtype("reflex_stop"))
    value["key"]["workload"] = target.workload_id
    value["start_ns"] = root.start_ticks * TICK_NS
    sensor.maps["reflex_stops"].set(np.uint32(root.pid).tobytes(), value.tobytes())
    while not held(root.pid):
        pass


@pytest.mark.parametrize("mode", MODES)
def test_killed_while_it_lists_whom_the_kernel_stopped_the_next_one_lists_and_gives_back(
    mode: str, tmp_path: Path, sensor: Sensor, switch: PinnedSwitch, start: Start
) -> None:
    def act(here: Containments, target: Target) -> object:
        return here.note_stops({target.workload_id: target.workload}, 60)

    for turn in range(1, 100):
        state = tmp_path / str(turn)
        target = start("sh", "-c", TREE)
        stopped_by_the_kernel(sensor, target)
        died = killed(act, state, switch, target, (turn, mode))
        here = Containments(state, switch, breaker=UNLIMITED)
        here.recover()
        act(here, target)
        (one,) = here.live()
        assert (one.step, one.state) == (Step.REFLEX, State.DONE)
        assert one.processes == target.roots
        assert held(target.roots[0].pid)
        here.release_all()
        assert switch.stops() == []
        assert runs(target.roots[0].pid)
        end(target)
        if not died:
            break
    assert not died
    assert turn > 1


def end(target: Target) -> None:
    """It need not wait for the end of the test."""
    with suppress(ProcessLookupError):
        os.killpg(target.roots[0].pid, signal.SIGKILL)
    assert not gone_wrong(target.roots[0])


def gone_wrong(root: ProcessId) -> bool:
    """Whether it outlives SIGKILL for long."""
    for _ in range(2000):
        if not exists(root):
            return False
        subprocess.run(["true"], check=True)
    return True


ANOTHER_BOOT: Final = """
target = Target("w", 1, ())
for each in sorted(state.iterdir()):
    here = Containments(each, None)
    here.recover()
    assert here.live() == (), each
    assert here.set_aside == (), each
    assert {one.why_ended for one in here.list()} <= {"the host was restarted", "by hand"}, each
    pid = int(sys.argv[3])
    assert held(pid), "somebody of an earlier start was touched"
    child = subprocess.Popen(["sleep", "60"], stdout=-3, stderr=-3)
    done = here.contain(
        Target("w", 1, (read_process(child.pid).id,)), Step.FREEZE, 60, "a test", "tester",
        force=True,
    )
    assert held(child.pid)
    here.release(done.id)
    assert not held(child.pid)
    child.kill()
    child.wait()
print(len(list(state.iterdir())))
"""


def test_a_power_cut_at_any_sync_of_the_journal_leaves_one_that_the_next_start_can_use(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    disks = tmp_path / "disks"
    disks.mkdir()
    real = os.fdatasync

    def synced(fd: int) -> None:
        """Keep what is on the disk from here on, whatever is written and lost later."""
        real(fd)
        disk = disks / str(len(list(disks.iterdir())))
        disk.mkdir()
        (disk / "journal").write_bytes(Path(f"/proc/self/fd/{fd}").read_bytes())

    target = start("sleep", "60")
    here = Containments(tmp_path / "state", None, breaker=UNLIMITED)
    monkeypatch.setattr(os, "fdatasync", synced)
    for _ in range(3):
        done = here.contain(target, Step.FREEZE, 60, "a test", "tester")
        here.release(done.id, "by hand")
    here.contain(target, Step.FREEZE, 60, "a test", "tester")
    monkeypatch.undo()
    name = tmp_path / "boot_id"
    name.write_text("00000000-0000-4000-8000-000000000000\n")
    at = "/proc/sys/kernel/random/boot_id"
    own = ["unshare", "--mount", "sh", "-c", f'mount --bind {name} {at} && exec "$@"', "sh"]
    pid = str(target.roots[0].pid)
    count = int(inside(own, ANOTHER_BOOT, str(disks), "", pid))
    assert count >= 7  # one for each release and each step, two of most
    here.release_all()
