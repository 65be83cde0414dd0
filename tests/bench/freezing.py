"""From the exec of an attack's shell to the frozen server, again and again; what reflexes add."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from tests.bench import reflexes
from tests.bench.figures import AT_MOST, Figure, Goal, quantile, unmeasured
from tests.bench.rig import Rig
from tests.demo.commands import CommandError, wait_for
from tests.demo.learning import verdicts
from tests.servers.attack import DECOYS, Attack, Listener, deliver, plant
from tests.servers.serve import get

SHELLS = ("/bin/sh", "/bin/bash", "/usr/bin/perl")
VERDICT_S = 15.0
IDLE, BUSY = Goal(AT_MOST, 50.0), Goal(AT_MOST, 200.0)
SPIN = "while True: pass"
_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Latency:
    """One attack, in milliseconds.

    Attributes:
        decided: From the kernel's record of its first act to the step that was decided on.
        froze: From there until the last thread was seen stopped.
        whole: Both.
    """

    decided: float
    froze: float
    whole: float


def measure(rig: Rig, attacks: int, say: Callable[[str], None]) -> Iterator[Figure]:
    """Attack with changing details, on an idle host and on one with every core busy."""
    rig.off()
    yield from reflexes.measure(rig.stage.directory, rig.stage.pins)
    rig.guard(say)
    yield from _attacked(rig, attacks, say, "idle", IDLE)
    with _all_cores_busy():
        yield from _attacked(rig, attacks, say, "every core busy", BUSY)


def _attacked(
    rig: Rig, attacks: int, say: Callable[[str], None], where: str, goal: Goal
) -> Iterator[Figure]:
    found: list[Latency] = []
    shells, decoys = cycle(SHELLS), cycle(DECOYS)
    for number in range(attacks):
        latency = once(rig, next(shells), next(decoys))
        words = f"{latency.whole:.1f} ms" if latency else "missed"
        say(f"attack {number + 1} of {attacks}, {where}: {words}")
        found += [latency] if latency else []
    name = f"exec to frozen, p99, {where}"
    if not found:
        yield unmeasured(name, f"none of {attacks} attacks was frozen", goal)
        return
    note = f"{len(found)} of {attacks} attacks frozen"
    yield Figure(name, quantile([one.whole for one in found], 0.99), "ms", goal, note)
    for words, values in (
        ("record to verdict", [one.decided for one in found]),
        ("verdict to frozen", [one.froze for one in found]),
    ):
        yield Figure(f"{words}, p50, {where}", quantile(values, 0.5), "ms")
        yield Figure(f"{words}, p99, {where}", quantile(values, 0.99), "ms")


@contextmanager
def _all_cores_busy() -> Iterator[None]:
    """As many loops as there are processors, of ordinary priority."""
    line = [sys.executable, "-ISc", SPIN]
    spinning = [subprocess.Popen(line) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for each in spinning:
            each.kill()
            each.wait()


def once(rig: Rig, shell: str, decoy: str) -> Latency | None:
    """Attack once and give the server back; returns None when nothing froze."""
    listener = rig.stage.listener = Listener().start()
    secret = plant(rig.stage.directory / "home", decoy)
    attack = rig.stage.attack = Attack(secret, listener.port, shell)
    # By name, not by time: a verdict has the time of the first new thing in its window.
    before = {verdict["id"] for verdict in verdicts(rig.agent)}
    port = rig.server.port
    threading.Thread(target=deliver, args=(port, attack), daemon=True).start()

    def frozen() -> dict[str, Any] | None:
        for verdict in verdicts(rig.agent):
            response = verdict.get("response") or {}
            if (
                verdict["id"] not in before
                and response.get("action") == "freeze"
                and response.get("state") == "done"
            ):
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
    whole, times = response.get("frozen_ms"), response.get("times") or {}
    if whole is None or "intent" not in times or "held" not in times:
        return None
    froze = (times["held"] - times["intent"]) / _MS
    return Latency(float(whole) - froze, froze, float(whole))
