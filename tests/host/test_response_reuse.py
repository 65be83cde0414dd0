"""What happens to a number that another process gets, and to a cgroup that cannot be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.response.cgroups import mount_point
from agent.response.processes import held
from tests.host.test_response import Start, group, start

__all__ = ["group", "start"]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

ROOT = Path(__file__).parents[2]
LAST = Path("/proc/sys/kernel/ns_last_pid")

PRELUDE = """
import os, signal, subprocess, sys, time
from pathlib import Path
from agent.response.containment import Step, Target
from agent.response.containments import Containments
from agent.response.processes import held, read_process, stopped
state, act = Path(sys.argv[1]), sys.argv[2]
here = Containments(state, None)
"""

REUSE = """
def sleeper():
    return subprocess.Popen(["sleep", "60"])
first = sleeper()
target = Target("w", 1, (read_process(first.pid).id,))
held_one = here.contain(target, Step.FREEZE, 60, "a test", "tester")
assert [process.pid for process in held_one.processes] == [first.pid]
first.kill()
first.wait()
time.sleep(0.05)  # another clock tick: what tells the two apart
Path("/proc/sys/kernel/ns_last_pid").write_text(str(first.pid - 1))
second = sleeper()
assert second.pid == first.pid, (first.pid, second.pid)
os.kill(second.pid, signal.SIGSTOP)
while not stopped(second.pid):
    time.sleep(0.005)
if act == "release":
    here.release(held_one.id)
elif act == "kill":
    here.contain(target, Step.KILL, 60, "a test", "tester")
else:
    here = Containments(state, None)
    here.recover()
time.sleep(0.1)
assert second.poll() is None, "it was killed"
assert stopped(second.pid), "it was continued"
os.kill(second.pid, signal.SIGCONT)
time.sleep(0.05)
assert not stopped(second.pid), "it was stopped"
print("left alone")
"""

FREEZE = """
pid = int(sys.argv[3])
target = Target("w", 1, (read_process(pid).id,))
done = here.contain(target, Step.FREEZE, 60, "a test", "tester")
print(done.how, held(pid))
here.release(done.id)
print(held(pid))
"""


def inside(prefix: list[str], script: str, *words: str) -> str:
    line = [*prefix, sys.executable, "-c", PRELUDE + script, *words]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("act", ["release", "kill", "recover"])
def test_who_got_the_number_of_one_that_was_held_is_left_alone(tmp_path: Path, act: str) -> None:
    if not LAST.exists():
        pytest.skip("no ns_last_pid: CONFIG_CHECKPOINT_RESTORE")
    own = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    assert inside(own, REUSE, str(tmp_path), act) == "left alone\n"


def test_a_cgroup_that_cannot_be_written_is_replaced_by_signals(
    tmp_path: Path, start: Start, group: Path
) -> None:
    mount = mount_point(Path("/proc/self/mountinfo").read_text())
    target = start("sleep", "60")
    pid = target.roots[0].pid
    (group / "cgroup.procs").write_text(str(pid))
    shut = f'mount --bind {mount} {mount} && mount -o remount,bind,ro {mount} && exec "$@"'
    own = ["unshare", "--mount", "sh", "-c", shut, "sh"]
    assert inside(own, FREEZE, str(tmp_path), "", str(pid)) == "signals True\nFalse\n"
    assert not held(pid)
