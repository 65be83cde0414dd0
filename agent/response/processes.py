"""What `/proc` says of a process: who it is, and whether every thread of it has stopped.

A process that exits while it is read is normal: the answer is None, or "gone".
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.response.containment import ProcessId

PF_KTHREAD: Final = 0x00200000  # include/linux/sched.h
STOP_PENDING: Final = 1 << (19 - 1)  # SIGSTOP in the masks of /proc/PID/status
STOPPED_STATES: Final = frozenset("Tt")
GONE_STATES: Final = frozenset("ZX")
AWAKE_STATES: Final = frozenset("RS")
_AT_REST: Final = STOPPED_STATES | GONE_STATES
PROC: Final = "/proc"
STAT_BYTES: Final = 4096
"""More than /proc/PID/stat has: 52 numbers and a name of 15 letters (63, of a kernel thread)."""
CLONE_VFORK: Final = 0x4000  # include/uapi/linux/sched.h
_CLONE, _VFORK, _CLONE3 = 56, 58, 435  # x86-64
_SYSCALL_WORDS: Final = 9  # of /proc/PID/syscall in a call: number, six arguments, two registers


@dataclass(frozen=True, slots=True)
class Process:
    """One reading of /proc/PID/stat.

    Attributes:
        id: Pid and start time.
        parent: Thread group that gets its exit signal.
        kernel: Whether it is a kernel thread.
        state: Letter of its main thread.
        gone: Every thread of it has exited.
    """

    id: ProcessId
    parent: int
    kernel: bool
    state: str
    gone: bool


def read_process(pid: int) -> Process | None:
    """Return what /proc/`pid`/stat says now, or None if there is no such process."""
    fields = _stat(f"{PROC}/{pid}/stat")
    if fields is None:
        return None
    # A main thread may have exited while others still run.
    gone = fields[0] in GONE_STATES and thread_states(pid) <= GONE_STATES
    kernel = bool(int(fields[6]) & PF_KTHREAD)
    return Process(ProcessId(pid, int(fields[19])), int(fields[1]), kernel, fields[0], gone)


def exists(process: ProcessId) -> bool:
    """Return whether this very process is still there, as more than a zombie."""
    found = read_process(process.pid)
    return found is not None and found.id == process and not found.gone


def held(pid: int, *, patient: bool = False) -> bool:
    """Return whether no thread of `pid` can do anything before it is continued.

    A process that is gone is held. So is the parent of a vfork, when a stop waits for it: it
    sleeps until its child, which is of the same tree and stopped, goes on, and the stop is taken
    before it returns to user space.

    Args:
        pid: Thread group.
        patient: Count whatever sleeps uninterruptibly as held in that way: a thread that waits for
            a disk may yet finish that one call.
    """
    states = _states(pid)
    awake = {tid: state for tid, state in states.items() if state not in _AT_REST}
    if not awake:
        return True
    if set(awake.values()) != {"D"}:
        return False
    if not patient and not all(_waits_for_vfork(pid, tid) for tid in awake):
        return False
    return bool(STOPPED_STATES.intersection(states.values())) or stop_pending(pid)


def _waits_for_vfork(pid: int, tid: str) -> bool:
    """Return whether a sleeping thread is in a call that ends when its child execs or exits."""
    words = _read(f"{PROC}/{pid}/task/{tid}/syscall").split()
    if len(words) < _SYSCALL_WORDS:  # "running", or not ours to know
        return False
    number, first = int(words[0]), int(words[1], 16)
    if number == _CLONE3:
        flags = _peek(pid, first)
    else:
        flags = first if number == _CLONE else CLONE_VFORK if number == _VFORK else 0
    return bool(flags & CLONE_VFORK)


def _peek(pid: int, address: int) -> int:
    """Return eight bytes of a process's memory as a number; 0 if they cannot be read."""
    try:
        with Path(f"{PROC}/{pid}/mem").open("rb", buffering=0) as memory:
            return int.from_bytes(os.pread(memory.fileno(), 8, address), "little")
    except (OSError, OverflowError):
        return 0


def stopped(pid: int) -> bool:
    """Return whether a stop has hit `pid` or waits for it: whether SIGCONT would change it."""
    return bool(thread_states(pid) & STOPPED_STATES) or stop_pending(pid)


def thread_states(pid: int) -> set[str]:
    """Return the state letters of all threads of `pid`; empty if it is gone."""
    return set(_states(pid).values())


def _states(pid: int) -> dict[str, str]:
    states = {}
    for tid in _list(f"{PROC}/{pid}/task"):
        fields = _stat(f"{PROC}/{pid}/task/{tid}/stat")
        if fields is not None:
            states[tid] = fields[0]
    return states


def stop_pending(pid: int) -> bool:
    """Return whether a SIGSTOP waits for `pid`, for the whole group or for its main thread."""
    for line in _read(f"{PROC}/{pid}/status").splitlines():
        if line.startswith((b"SigPnd:", b"ShdPnd:")) and int(line.split()[1], 16) & STOP_PENDING:
            return True
    return False


def children(pid: int) -> list[int]:
    """Return the processes whose parent is any thread of `pid`.

    Needs /proc/PID/task/TID/children (CONFIG_PROC_CHILDREN, in every distribution's kernel).
    """
    found: list[int] = []
    for tid in _list(f"{PROC}/{pid}/task"):
        found += map(int, _read(f"{PROC}/{pid}/task/{tid}/children").split())
    return found


def executable(pid: int) -> str:
    """Return the path of what `pid` runs, "" if it is gone or a kernel thread."""
    try:
        return str(Path(f"{PROC}/{pid}/exe").readlink())
    except OSError:
        return ""


def cgroup(pid: int) -> str:
    """Return the v2 cgroup of `pid`, like "/system.slice/a.service"; "" if it is gone."""
    for line in _read(f"{PROC}/{pid}/cgroup").splitlines():
        if line.startswith(b"0::"):
            return os.fsdecode(line[3:]).removesuffix(" (deleted)")
    return ""


def boot_id() -> str:
    """Return the id that the kernel gave itself at this start."""
    return Path(f"{PROC}/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _stat(path: str) -> list[str] | None:
    """Return the fields of a stat file from the state (field 3) on."""
    content = _read(path, whole=STAT_BYTES)
    if not content:
        return None
    # The command between the parentheses may hold anything, closing parentheses included.
    return content[content.rindex(b")") + 2 :].decode("ascii").split()


def _read(path: str, whole: int = 0) -> bytes:
    """Return a file; b"" if it is gone. `whole`: it is shorter than that, and one read has all."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        if whole:
            return os.read(fd, whole)
        chunks = []
        while chunk := os.read(fd, 65536):
            chunks.append(chunk)
    except ProcessLookupError:
        return b""
    else:
        return b"".join(chunks)
    finally:
        os.close(fd)


def _list(path: str) -> list[str]:
    try:
        return os.listdir(path)  # noqa: PTH208 - thousands of calls a second; Path is slower
    except OSError:
        return []
