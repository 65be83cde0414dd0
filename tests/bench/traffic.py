"""What reading requests costs each of them: time added, and the packet hooks' own."""

import json
from collections.abc import Iterator
from statistics import median

from tests.bench.calls import HTTP, NAME, statistics, watch
from tests.bench.deeds import Program
from tests.bench.figures import AT_MOST, Figure, Goal
from tests.bench.rig import Rig, run
from tests.demo.commands import CommandError, wait_for

ADDED = Goal(AT_MOST, 20.0)
HOOKS = ("on_ingress", "on_egress")
DEED = "request"
COUNTED_S = 10.0


def measure(rig: Rig, alternations: int, requests: int) -> Iterator[Figure]:
    """Yield microseconds per request of a small C server over one kept connection on loopback."""
    rig.off()
    program = Program(rig.stage.directory, HTTP)
    try:
        program.ns_per_deed(DEED, requests)  # not taken: caches fill
        offs, ons, hooks = [program.ns_per_deed(DEED, requests)], [], []
        for _ in range(alternations):
            rig.on()
            watch(rig, program)
            ons.append(program.ns_per_deed(DEED, requests))
            await_counted(rig, requests)
            hooks.append(hooks_ns(rig, program, requests))
            rig.agent.ask("unwatch", NAME)
            rig.off()
            offs.append(program.ns_per_deed(DEED, requests))
    finally:
        program.end()
    triples = list(zip(offs, ons, offs[1:], strict=False))
    added = median(on - (before + after) / 2 for before, on, after in triples)
    noise = median(abs(after - before) for before, _, after in triples)
    note = f"off/off differ by {noise / 1e3:.1f} us; {median(offs) / 1e3:.1f} us without the agent"
    yield Figure("HTTP request, added by the whole agent", added / 1e3, "us", ADDED, note)
    note = "kernel.bpf_stats_enabled, with its clock; all of a request's packets, both ways"
    yield Figure("HTTP request, in the hooks of packets", median(hooks) / 1e3, "us", note=note)


def await_counted(rig: Rig, requests: int) -> None:
    """Wait until the agent has counted them; CommandError where it does not read them."""

    def counted() -> bool:
        return bool(rig.agent.status()["sensors"]["request"]["events"] >= requests)

    if not wait_for(counted, COUNTED_S):
        raise CommandError(f"the agent has not counted {requests} requests")


def hooks_ns(rig: Rig, program: Program, requests: int) -> float:
    """Return what the two packet programs took for each request, by the kernel's statistics."""
    with statistics():
        before = spent_ns(rig)
        program.ns_per_deed(DEED, requests)
        return (spent_ns(rig) - before) / requests


def spent_ns(rig: Rig) -> int:
    """Return the packet programs' run time so far."""
    total = 0
    for name in HOOKS:
        link = json.loads(run("bpftool", "--json", "link", "show", "pinned", _pin(rig, name)))
        told = json.loads(run("bpftool", "--json", "prog", "show", "id", link["prog_id"]))
        total += told.get("run_time_ns", 0)
    return total


def _pin(rig: Rig, name: str) -> str:
    return str(next(rig.stage.pins.rglob(f"links/{name}")))
