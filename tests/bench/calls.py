"""What a system call costs: the BPF program's own time, and two C programs off and on."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.deeds import Program, empty
from tests.bench.figures import AT_LEAST, AT_MOST, Figure, Goal, unmeasured
from tests.bench.rig import Rig, run
from tests.demo.commands import CommandError, wait_for

STATS = Path("/proc/sys/kernel/bpf_stats_enabled")
NAME = "loop"
LOOP = "syscall_loop"
HTTP = "tiny_http"
DEEDS = {
    "getppid": "getppid",
    "read": "read of a file",
    "send": "write to and read from a socket",
    "open": "openat and close",
    "map": "mmap and munmap",
}
UNWATCHED = Goal(AT_MOST, 100.0)
WATCHED = Goal(AT_MOST, 230.0)
OF_FLOOR = Goal(AT_LEAST, 0.95)
REPEATS = 5
REQUESTS_SHARE = 20
"""A request is about twenty times a getppid: so many fewer are made."""


@contextmanager
def statistics() -> Iterator[None]:
    """Let the kernel time every BPF program, which itself costs some 40 ns a run."""
    before = STATS.read_text()
    STATS.write_text("1")
    try:
        yield
    finally:
        STATS.write_text(before)


def programs(pins: Path) -> dict[int, tuple[int, int]]:
    """Return run time (ns) and runs of every program attached by a pinned link, by id."""
    links = []
    for pin in [pins, *pins.rglob("*")]:
        with suppress(CommandError, ValueError):  # maps and directories are no links
            links.append(json.loads(run("bpftool", "--json", "link", "show", "pinned", pin)))
    attached = {link["prog_id"] for link in links if "prog_id" in link}
    found = json.loads(run("bpftool", "--json", "prog", "show"))
    return {
        program["id"]: (program.get("run_time_ns", 0), program.get("run_cnt", 0))
        for program in found
        if program["id"] in attached
    }


def bpf_ns_per_call(program: Program, pins: Path, deed: str, count: int) -> float:
    """Return the mean time of the programs that ran at least once for each deed, lowest of some.

    Other processes' calls run them too; the loop outnumbers them by far. Disturbances only ever
    add: the lowest of a few repetitions is nearest to the cost.
    """
    means = []
    for _ in range(REPEATS):
        before = programs(pins)
        program.ns_per_deed(deed, count // REPEATS)
        spent = [
            (ns - before[name][0], runs - before[name][1])
            for name, (ns, runs) in programs(pins).items()
            if name in before
        ]
        # Several hooks may run per call: what a call costs is their sum.
        hot = [ns / runs for ns, runs in spent if runs >= count // REPEATS]
        means.append(sum(hot) if hot else math.nan)
    return min(means)


def measure(rig: Rig, alternations: int, calls: int) -> Iterator[Figure]:
    """Yield BPF nanoseconds per call unwatched and watched, and the programs' own speed."""
    yield from in_kernel(rig, calls)
    yield from outside(rig, Course(LOOP, "getppid", calls, "getppid loop"), alternations)
    requests = calls // REQUESTS_SHARE
    yield from outside(rig, Course(HTTP, "request", requests, "tiny HTTP server"), alternations)


def in_kernel(rig: Rig, calls: int) -> Iterator[Figure]:
    """Ask the kernel's statistics: the empty program first, then ours."""
    directory, pins = rig.stage.directory, rig.stage.pins
    rig.off()
    program = Program(directory, LOOP)
    try:
        with statistics():
            try:
                with empty(directory, pins) as pin:
                    floor = bpf_ns_per_call(program, pin, "getppid", calls)
                note = "kernel.bpf_stats_enabled: mostly that clock's own cost, in all of these"
                yield Figure("BPF per call, empty program", floor, "ns", note=note)
            except CommandError as error:
                yield unmeasured("BPF per call, empty program", str(error))
            rig.on()
            yield from each_deed(program, pins, "unwatched", UNWATCHED, calls)
            watch(rig, program)
            yield from each_deed(program, pins, "watched", WATCHED, calls)
            rig.agent.ask("unwatch", NAME)
    finally:
        program.end()


def each_deed(program: Program, pins: Path, how: str, goal: Goal, calls: int) -> Iterator[Figure]:
    """Yield one figure for each kind of call."""
    for deed, words in DEEDS.items():
        value = bpf_ns_per_call(program, pins, deed, calls)
        yield Figure(f"BPF per call, {how}: {words}", value, "ns", goal)


def watch(rig: Rig, program: Program) -> None:
    """Have the agent watch the program, and wait until it does."""
    rig.agent.text("watch", "--name", NAME, "--pid", str(program.pid))

    def member() -> bool:
        found = rig.agent.status().get("workloads", ())
        return any(w["name"] == NAME and program.pid in w["pids"] for w in found)

    wait_for(member, 10.0)


@dataclass(frozen=True, slots=True)
class Course:
    """What is done, how often, and what it is called in the table."""

    source: str
    deed: str
    count: int
    name: str


@dataclass(frozen=True, slots=True)
class Times:
    """Nanoseconds per deed, close in time; `floor` is NaN where there is no empty program."""

    before: float
    floor: float
    unwatched: float
    watched: float
    after: float


def outside(rig: Rig, course: Course, alternations: int) -> Iterator[Figure]:
    """Time a program: off, with the empty program, on and unwatched, on and watched, off."""
    rig.off()
    program = Program(rig.stage.directory, course.source)
    why = ""
    try:
        found, off = [], program.ns_per_deed(course.deed, course.count)
        for _ in range(alternations):
            try:
                floor = at_floor(rig, program, course)
            except CommandError as error:
                floor, why = math.nan, str(error)
            rig.on()
            on = program.ns_per_deed(course.deed, course.count)
            watch(rig, program)
            seen = program.ns_per_deed(course.deed, course.count)
            rig.agent.ask("unwatch", NAME)
            rig.off()
            after = program.ns_per_deed(course.deed, course.count)
            found.append(Times(off, floor, on, seen, after))
            off = after
    finally:
        program.end()
    yield from ratios(course.name, found, why)


def at_floor(rig: Rig, program: Program, course: Course) -> float:
    """Time it with the empty program in the agent's place."""
    with empty(rig.stage.directory, rig.stage.pins):
        return program.ns_per_deed(course.deed, course.count)


def ratios(name: str, found: list[Times], why: str) -> Iterator[Figure]:
    """Yield speeds as shares of the speed without the agent, and of the floor's."""

    noise = f"off/off {median(t.before / t.after for t in found):.3f}"
    off = median((t.before + t.after) / 2 for t in found)
    note = f"{noise}, {len(found)} pairs; {off:.0f} ns without the agent"
    for how in ("floor", "unwatched", "watched"):
        words = "with the empty program" if how == "floor" else how
        share = median((t.before + t.after) / 2 / getattr(t, how) for t in found)
        yield Figure(f"{name}, speed {words}", share, note=(why if how == "floor" else "") or note)
        note = noise
        if how != "floor":
            share = median(t.floor / getattr(t, how) for t in found)
            yield Figure(f"{name}, speed {how} / empty program", share, "", OF_FLOOR, why or noise)
