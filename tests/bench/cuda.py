"""What a call of the GPU driver's library costs, over a driver built here that does almost nothing.

The trap of a uprobe is most of it, and every process that maps the library pays it; a real driver's
call takes microseconds by itself.
"""

from collections.abc import Iterator

from tests.bench.calls import watch
from tests.bench.deeds import Program
from tests.bench.figures import AT_MOST, Figure, Goal
from tests.bench.rig import Rig, run
from tests.demo.commands import ROOT, CommandError, wait_for

DRIVER = ROOT / "tests" / "host" / "gpu" / "fake_driver.c"
LOOP = "cuda_loop"
NAME = "loop"
DEEDS = {"launch": "launch", "fetch": "copy to the host", "allocate": "allocation and free"}
ADDED = Goal(AT_MOST, 3000.0)
REPEATS = 5
ATTACHED_S = 15.0


def measure(rig: Rig, calls: int) -> Iterator[Figure]:
    """Yield nanoseconds that a call takes longer: of a watched process, and of another."""
    rig.off()
    directory = rig.stage.directory
    run("gcc", "-O2", "-shared", "-fPIC", "-o", directory / "libcuda.so.1", DRIVER)
    watched, other = Program(directory, LOOP), Program(directory, LOOP)
    try:
        before = {deed: fastest(watched, deed, calls) for deed in DEEDS}
        rig.on()
        watch(rig, watched)
        if not wait_for(lambda: attached(rig), ATTACHED_S):
            raise CommandError(f"the agent attaches to no library within {ATTACHED_S:.0f} s")
        for deed, words in DEEDS.items():
            note = f"{before[deed]:.0f} ns without the agent; {REPEATS} times {calls:,}, fastest"
            added = fastest(watched, deed, calls) - before[deed]
            yield Figure(f"CUDA call, added, watched: {words}", added, "ns", ADDED, note)
            added = fastest(other, deed, calls) - before[deed]
            yield Figure(f"CUDA call, added, same library, not watched: {words}", added, "ns")
        rig.agent.ask("unwatch", NAME)
    finally:
        watched.end()
        other.end()
        rig.off()


def fastest(program: Program, deed: str, calls: int) -> float:
    """Return nanoseconds per call; what disturbs only ever adds."""
    return min(program.ns_per_deed(deed, calls) for _ in range(REPEATS))


def attached(rig: Rig) -> bool:
    """Whether the agent is attached to the library."""
    return bool(" functions, " in rig.agent.status()["gpu"]["driver calls"])
