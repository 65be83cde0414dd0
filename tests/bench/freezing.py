"""From the exec of an attack's shell to the frozen server, again and again."""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

from tests.bench.figures import AT_MOST, Figure, Goal, quantile, unmeasured
from tests.bench.rig import Rig
from tests.demo.commands import CommandError, wait_for
from tests.demo.learning import verdicts
from tests.servers.attack import DECOYS, Attack, Listener, deliver, plant
from tests.servers.serve import get

SHELLS = ("/bin/sh", "/bin/bash", "/usr/bin/perl")
VERDICT_S = 15.0
GOAL = Goal(AT_MOST, 100.0)
NAME = "exec to frozen, p95"


def measure(rig: Rig, attacks: int, say: Callable[[str], None]) -> Iterator[Figure]:
    """Attack with changing details; yields the p95, the median and how many were frozen."""
    rig.guard(say)
    latencies = []
    shells, decoys = cycle(SHELLS), cycle(DECOYS)
    for number in range(attacks):
        latency = once(rig, next(shells), next(decoys))
        say(f"attack {number + 1} of {attacks}: " + (f"{latency:.1f} ms" if latency else "missed"))
        if latency:
            latencies.append(latency)
    if not latencies:
        yield unmeasured(NAME, f"none of {attacks} attacks was frozen", GOAL)
        return
    note = f"{len(latencies)} of {attacks} attacks frozen"
    yield Figure(NAME, quantile(latencies, 0.95), "ms", GOAL, note)
    yield Figure("exec to frozen, median", quantile(latencies, 0.5), "ms")


def once(rig: Rig, shell: str, decoy: str) -> float | None:
    """Attack once and give the server back; returns milliseconds, None when nothing froze."""
    listener = rig.stage.listener = Listener().start()
    secret = plant(rig.stage.directory / "home", decoy)
    attack = rig.stage.attack = Attack(secret, listener.port, shell)
    since_ns = time.time_ns()
    port = rig.server.port
    threading.Thread(target=deliver, args=(port, attack), daemon=True).start()

    def frozen() -> dict[str, Any] | None:
        for verdict in verdicts(rig.agent, since_ns):
            response = verdict.get("response") or {}
            if response.get("action") == "freeze" and response.get("state") == "done":
                return dict(response)
        return None

    response = wait_for(frozen, VERDICT_S, 0.3)
    rig.stage.end_intruders()
    rig.agent.ask("release", "--all")
    listener.stop()
    if not wait_for(lambda: get(port, "/health", 1.0), 10.0):
        raise CommandError("the server does not answer after its release")
    if response is None:
        return None
    latency = response.get("latency_ms", response.get("frozen_ms"))
    return None if latency is None else float(latency)
