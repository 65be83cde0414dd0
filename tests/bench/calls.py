"""What a system call costs: the BPF program's own time, and a tight loop off and on."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.bench.figures import (
    AT_MOST,
    Alternation,
    Figure,
    Goal,
    effect,
    floor,
)
from tests.bench.rig import HERE, Rig, run
from tests.demo.commands import CommandError, wait_for

CALLS = 1_000_000
STATS = Path("/proc/sys/kernel/bpf_stats_enabled")
NAME = "loop"


class Loop:
    """The C program that makes calls, running and idle until asked."""

    def __init__(self, directory: Path) -> None:
        """Compile and start it."""
        program = directory / "syscall_loop"
        if not program.exists():
            run("gcc", "-O2", "-Wall", "-Wextra", "-o", program, HERE / "syscall_loop.c")
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ns_per_call(self, calls: int = CALLS) -> float:
        """Make the calls; returns nanoseconds per call."""
        if not self.process.stdin or not self.process.stdout:
            raise RuntimeError("started with pipes")
        self.process.stdin.write(f"{calls}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline()) / calls

    def end(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


@contextmanager
def statistics() -> Iterator[None]:
    """Let the kernel time every BPF program, which itself costs about 40 ns a run."""
    before = STATS.read_text()
    STATS.write_text("1")
    try:
        yield
    finally:
        STATS.write_text(before)


def programs(pins: Path) -> dict[int, tuple[int, int]]:
    """Return run time (ns) and runs of every program attached by a pinned link, by id."""
    links = []
    for pin in pins.rglob("*"):
        with suppress(CommandError, ValueError):  # maps and directories are no links
            links.append(json.loads(run("bpftool", "--json", "link", "show", "pinned", pin)))
    attached = {link["prog_id"] for link in links if "prog_id" in link}
    found = json.loads(run("bpftool", "--json", "prog", "show"))
    return {
        program["id"]: (program.get("run_time_ns", 0), program.get("run_cnt", 0))
        for program in found
        if program["id"] in attached
    }


def bpf_ns_per_call(loop: Loop, pins: Path, calls: int) -> float:
    """Return the mean time of the program that ran at least once for each call of the loop.

    Other processes' calls run it too; the loop outnumbers them by far.
    """
    before = programs(pins)
    loop.ns_per_call(calls)
    spent = {
        name: (ns - before[name][0], runs - before[name][1])
        for name, (ns, runs) in programs(pins).items()
        if name in before
    }
    hot = [(ns, runs) for ns, runs in spent.values() if runs >= calls]
    # Several hooks may run per call: what a call costs is their sum.
    return sum(ns / runs for ns, runs in hot) if hot else float("nan")


def measure(rig: Rig, alternations: int, calls: int) -> Iterator[Figure]:
    """Yield BPF nanoseconds per call unwatched and watched, and the loop's own speed."""
    yield from in_kernel(rig, calls)
    yield from outside(rig, alternations, calls)


def in_kernel(rig: Rig, calls: int) -> Iterator[Figure]:
    """Ask the kernel's statistics."""
    goal = Goal(AT_MOST, 150.0)
    rig.on()
    rig.running()
    loop = Loop(rig.stage.directory)
    try:
        with statistics():
            note = "kernel.bpf_stats_enabled, whose own clock is about 40 ns of it"
            value = bpf_ns_per_call(loop, rig.stage.pins, calls)
            yield Figure("BPF per call, unwatched", value, "ns", goal, note)
            watch(rig, loop)
            value = bpf_ns_per_call(loop, rig.stage.pins, calls)
            yield Figure("BPF per call, watched", value, "ns")
            rig.agent.ask("unwatch", NAME)
    finally:
        loop.end()


def watch(rig: Rig, loop: Loop) -> None:
    """Have the agent watch the loop, and wait until it does."""
    rig.agent.text("watch", "--name", NAME, "--pid", str(loop.process.pid))

    def member() -> bool:
        found = rig.agent.status().get("workloads", ())
        return any(w["name"] == NAME and loop.process.pid in w["pids"] for w in found)

    wait_for(member, 10.0)


def outside(rig: Rig, alternations: int, calls: int) -> Iterator[Figure]:
    """Time the loop itself: off, on and unwatched, on and watched, off."""
    unwatched, watched = [], []
    rig.off()
    loop = Loop(rig.stage.directory)
    try:
        before = loop.ns_per_call(calls)
        for _ in range(alternations):
            rig.on()
            on = loop.ns_per_call(calls)
            watch(rig, loop)
            seen = loop.ns_per_call(calls)
            rig.agent.ask("unwatch", NAME)
            rig.off()
            after = loop.ns_per_call(calls)
            unwatched.append(Alternation(before, on, after))
            watched.append(Alternation(before, seen, after))
            before = after
    finally:
        loop.end()
    note = f"off/off {floor(unwatched):.3f}; a call is {before:.0f} ns without the agent"
    yield Figure("getppid loop, time unwatched / off", effect(unwatched), note=note)
    yield Figure("getppid loop, time watched / off", effect(watched))
