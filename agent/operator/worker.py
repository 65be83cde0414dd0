"""Compiles and runs one operator probe by BCC: a job on standard input, messages on output.

A program of its own: BCC brings a compiler and 150 MB with it, and what runs here is the
operator's own code. It ends when its input ends, and so with the daemon.
"""

import os
import re
import resource
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgpack

from agent.operator import aim, headers
from agent.operator.tally import Tally, item_text, words

NICE: Final = 10
OOM_SCORE: Final = 500
DATA_BYTES: Final = 512 << 20
"""Private memory: three times what the largest of BCC's own tools takes to compile."""

POLL_MS: Final = 100
FLUSH_NS: Final = 50_000_000
BEAT_NS: Final = 1_000_000_000
AIM_NS: Final = 5_000_000_000
"""Between looks for a library that a watched process mapped late."""

LOOK_EVERY: Final = 256
"""Events between looks at the clock: a flood keeps BCC in its own loop."""

PAGES: Final = 32
"""Of the kernel's buffer per processor."""

_REASON_CHARACTERS: Final = 600

PRELUDE: Final = """\
#include <uapi/linux/ptrace.h>
#include <linux/sched.h>
BPF_HASH(inferward_pids, u32, u8, 32768);
static __always_inline int inferward_watched(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u32 pid = bpf_get_current_pid_tgid() >> 32;

#pragma unroll
	for (int up = 0; up < 4; up++) {
		if (inferward_pids.lookup(&pid))
			return 1;
		bpf_probe_read_kernel(&task, sizeof(task), &task->real_parent);
		bpf_probe_read_kernel(&pid, sizeof(pid), &task->tgid);
	}
	return 0;
}
"""
"""For a source that asks `inferward_watched()`: the caller or one of three parents is watched."""


class ProbeFailedError(Exception):
    """Why this probe cannot run, in words."""


class Probe:
    """One compiled probe.

    Args:
        job: As `agent.operator.runner` sends it.
        tell: Sends one message.
    """

    def __init__(self, job: dict[str, Any], tell: Callable[[list[Any]], None]) -> None:
        """Compile and open the output."""
        self._job = job
        self._tell = tell
        self._tally = Tally(job["rate"])
        self._total = 0
        self._told_ns = self._aimed_ns = 0
        self._pids: set[int] = set()
        self._tried: dict[int, set[aim.Inode]] = {}
        self._reached: set[int] = set()
        self._places: list[str] = []
        self.bpf = self._compile()
        self._table = self._output()
        self._demand_members()
        self._open()

    def _compile(self) -> Any:  # noqa: ANN401 - bcc comes without annotations
        source = self._job["source"]
        if "inferward_watched" in source:
            source = f'{PRELUDE}#line 1 "{self._job["name"]}.c"\n{source}'
        from bcc import BPF  # noqa: PLC0415 - a second, and absence is told as such

        if not headers.installed():
            tree = headers.tree(Path(self._job["cache"]))
            headers.add_stubs(tree, source)
            os.environ["BCC_KERNEL_SOURCE"] = str(tree)  # read by libbcc alone, as it compiles
        return BPF(text=source)

    def _output(self) -> Any:  # noqa: ANN401
        name = self._job["output"]
        try:
            return self.bpf[name]
        except KeyError as error:
            raise ProbeFailedError(f"the C file has no output table called {name}") from error

    def _demand_members(self) -> None:
        """Compare what the declaration names with the struct, as BCC knows it."""
        from bcc.table import _get_event_class  # noqa: PLC0415

        fields = self._job["fields"]
        empty = _get_event_class(self._table)()
        known = [name for name, *_ in empty._fields_]
        wanted = [*fields["item"], *fields["sum"], fields["pid"], *filter(None, [fields["time"]])]
        for name in wanted:
            if name not in known:
                told = ", ".join(known) or "no struct is submitted to it"
                raise ProbeFailedError(
                    f"fields: {name} is no member of what {self._job['output']} tells ({told})"
                )
        for name in (*fields["sum"], fields["pid"]):
            if not isinstance(getattr(empty, name), int):
                raise ProbeFailedError(f"fields: {name} is no whole number")

    def _open(self) -> None:
        if hasattr(self._table, "open_perf_buffer"):
            self._table.open_perf_buffer(self._on_event, page_cnt=PAGES, lost_cb=self._on_lost)
            self._poll = self.bpf.perf_buffer_poll
        elif hasattr(self._table, "open_ring_buffer"):
            self._table.open_ring_buffer(self._on_event)
            self._poll = self.bpf.ring_buffer_poll
        else:
            raise ProbeFailedError(f"{self._job['output']} is no BPF_PERF_OUTPUT or RINGBUF_OUTPUT")

    def watch(self, pids: list[int]) -> None:
        """Take these as watched, and attach to files of theirs."""
        fresh = set(pids)
        if "inferward_watched" in self._job["source"]:
            table = self.bpf["inferward_pids"]
            for pid in fresh - self._pids:
                table[table.Key(pid)] = table.Leaf(1)
            for pid in self._pids - fresh:
                del table[table.Key(pid)]
        if fresh != self._pids or not self._aimed_ns:
            self._pids = fresh
            self.attach()

    def attach(self) -> None:
        """Attach wherever it is not attached yet, and tell where.

        Raises:
            ProbeFailedError: A place is there and refuses.
        """
        self._aimed_ns = time.monotonic_ns()
        before, missing = len(self._places), []
        for index, one in enumerate(self._job["attach"]):
            if one["kind"] in {"uprobe", "uretprobe"}:
                self._attach_user(index, one)
            elif index not in self._tried:
                self._attach_kernel(index, one)
            if index not in self._reached and not one["optional"]:
                missing.append(f"{one['library'] or one['binary']} is in no watched process yet")
        if not self._job["attach"] and not self._places:
            self._places = self._automatic()
            if not self._places:
                raise ProbeFailedError("it attaches nowhere: no [[attach]], no macro in the C file")
        if missing or len(self._places) > before or not self._told_ns:
            self._tell(["attached", self._places, list(dict.fromkeys(missing))])

    def _attach_user(self, index: int, one: dict[str, Any]) -> None:
        """Attach in each file once; one container's odd library does not undo the others."""
        if one["library"]:
            files = aim.library_files(one["library"], self._pids)
        else:
            files = aim.binary_files(Path(one["binary"]), self._pids)
        tried, refused = self._tried.setdefault(index, set()), ""
        for inode in files.keys() - tried:
            path = files[inode]
            how = {"name": path, "sym": one["symbol"], "fn_name": one["function"]}
            words = self._attach_one(index, one, f"{path}:{one['symbol']}", how)
            if Path(path).exists():  # else the process that showed it has ended: another may
                tried.add(inode)
                refused = refused or words
        if refused and index not in self._reached and not one["optional"]:
            raise ProbeFailedError(refused)

    def _attach_kernel(self, index: int, one: dict[str, Any]) -> None:
        self._tried[index] = set()
        name = "event" if one["kind"] in {"kprobe", "kretprobe"} else "tp"
        how = {name: one["symbol"].encode(), "fn_name": one["function"].encode()}
        refused = self._attach_one(index, one, one["symbol"], how)
        if refused and not one["optional"]:
            raise ProbeFailedError(refused)

    def _attach_one(self, index: int, one: dict[str, Any], at: str, how: dict[str, Any]) -> str:
        place = f"{one['kind']} {at}"
        try:
            getattr(self.bpf, f"attach_{one['kind']}")(**how)
        except Exception as error:  # noqa: BLE001 - bcc raises no narrower one
            return f"{place}: {error}"
        self._reached.add(index)
        self._places.append(place)
        return ""

    def _automatic(self) -> list[str]:
        """Where BCC attached by itself, by the names and macros of functions in the C file."""
        tables = (self.bpf.kprobe_fds, self.bpf.tracepoint_fds, self.bpf.raw_tracepoint_fds)
        return [words(name) for table in tables for name in table]

    def _on_event(self, _cpu: int, data: object, _size: int) -> None:
        event, fields = self._table.event(data), self._job["fields"]
        item = item_text(
            self._job["name"], [(name, _plain(getattr(event, name))) for name in fields["item"]]
        )
        sums = {name: int(getattr(event, name)) for name in fields["sum"]}
        when = getattr(event, fields["time"]) if fields["time"] else time.monotonic_ns()
        self._tally.add(int(getattr(event, fields["pid"])), item, int(when), sums)
        self._total += 1
        if self._total % LOOK_EVERY == 0:
            self.turn()

    def _on_lost(self, count: int) -> None:
        self._tally.lose(count)
        self._total += count
        self.turn()

    def turn(self) -> None:
        """Tell what is due; end here and now where it floods.

        Runs inside BCC's callback, too, where no exception would come out.
        """
        now_ns = time.monotonic_ns()
        since = now_ns - self._told_ns
        if since > (FLUSH_NS if self._tally.waiting else BEAT_NS):
            self._told_ns = now_ns
            self._tell(["events", *self._tally.take()])
        if self._tally.flooded(now_ns, self._total):
            self._tell(["events", *self._tally.take()])
            self._tell(["failed", f"it floods: more than {self._job['rate']} events a second"])
            os._exit(0)

    def run(self, inbox: "Inbox") -> None:
        """Go on until the daemon ends it."""
        while True:
            self._poll(POLL_MS)
            self.turn()
            if not inbox.open:
                return
            for message in inbox.take():
                self.watch(message)
            if self._pids and time.monotonic_ns() - self._aimed_ns > AIM_NS:
                self.attach()


class Inbox:
    """Messages of the daemon, taken without waiting."""

    def __init__(self, descriptor: int) -> None:
        """Read nothing yet."""
        self._descriptor = descriptor
        self._unpacker = msgpack.Unpacker()
        self.open = True

    def first(self) -> Any:  # noqa: ANN401 - whatever was sent
        """Wait for one message; None where the daemon went away."""
        while self.open:
            for message in self._unpacker:
                return message
            self._read()
        return None

    def take(self) -> list[Any]:
        """What came since the last look."""
        while self.open and select.select([self._descriptor], [], [], 0)[0]:
            self._read()
        return list(self._unpacker)

    def _read(self) -> None:
        data = os.read(self._descriptor, 65_536)
        self.open = bool(data)
        self._unpacker.feed(data)


def _plain(value: Any) -> object:  # noqa: ANN401 - a member of a struct
    if isinstance(value, bytes | int):
        return value
    parts = list(value)
    return bytes(parts) if max(parts, default=0) < 256 and min(parts) >= 0 else parts  # noqa: PLR2004 - a byte


def _confine() -> None:
    """Be the first to give way: to the workloads, to the daemon."""
    os.nice(NICE)
    Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), encoding="ascii")
    resource.setrlimit(resource.RLIMIT_DATA, (DATA_BYTES, DATA_BYTES))


def _reason(error: BaseException, told: int) -> str:
    """The compiler's or verifier's own words where there are any, else the exception's."""
    text = os.pread(told, 1 << 20, 0).decode("utf-8", "replace")
    errors = re.findall(r"^.*error: .*$", text, re.MULTILINE)
    lines = errors or [line for line in text.splitlines() if line.strip()][-3:]
    if isinstance(error, ProbeFailedError | headers.HeadersError):
        lines = []
    shown = "; ".join([str(error), *lines]) if str(error) else "; ".join(lines)
    return (shown or type(error).__name__)[:_REASON_CHARACTERS]


def main() -> None:
    """Run the job that comes first."""
    out = os.dup(1)
    told = os.memfd_create("told")
    os.dup2(told, 1)  # libbcc and the compiler speak on both
    os.dup2(told, 2)
    inbox = Inbox(0)

    def tell(message: list[Any]) -> None:
        data = memoryview(msgpack.packb(message))
        while data:
            data = data[os.write(out, data) :]

    job = inbox.first()
    if job is None:
        return
    try:
        _confine()
        probe = Probe(job, tell)
        probe.watch(job["pids"])
        probe.run(inbox)
    except ImportError as error:
        tell(["failed", f"bcc cannot be used ({error}): install python3-bpfcc"])
    except (Exception, SystemExit) as error:  # noqa: BLE001 - told to the daemon, which tells the operator
        tell(["failed", _reason(error, told)])
    sys.exit(0)


if __name__ == "__main__":
    main()
