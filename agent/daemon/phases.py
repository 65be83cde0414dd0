"""Where a server is in its life, told from facts: young, listening, called, loading, closing.

Start-up ends with the first caller. What follows is warm-up as long as code is still mapped or
compiled; weights that are read again, as a whole, are a reload; a listener that is gone is a
drain. Whatever a server or an attacker in it can prolong has an end, and then it is steady.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from agent.daemon.registry import Found
from agent.response.processes import read_process
from collectors.processes import NS_PER_TICK
from detectors.sensitive import sensitivity
from detectors.window import Item, ItemKind, Phase, Window

_NS: Final = 1_000_000_000

SETTLE_S: Final = 5.0
"""Of its newest root. A server that nobody called yet is in start-up until then, if it listens."""

MOST_STARTUP_S: Final = 300.0
"""A workload that never listens (a batch job) is steady after this long."""

LINGER_S: Final = 3.0
"""A warm-up or a reload goes on for so long after the latest sign of it."""

MOST_WARMUP_S: Final = 60.0
"""After the first caller: compiling for the first shapes takes tens of seconds."""

MOST_RELOAD_S: Final = 120.0
"""A hundred gigabytes from a fast disk. Then it is steady, for as long at least."""

RELOADED: Final = 0.5
"""Of the weights that it holds, read or mapped within one window: a part is paged in any time."""

LEAST_BYTES: Final = 64 << 10
"""Below it no weights are loaded; headers are read by whoever lists models."""

WORKER_S: Final = 30.0
"""A worker is starting until it is this old: importing PyTorch takes ten seconds on a busy host."""

CODE_BYTES: Final = 64 << 10
"""Read of code within one window: modules are imported."""

WEIGHTS: Final = ("read_weights_bytes", "mapped_weights_bytes")


@dataclass(slots=True)
class Phases:
    """Follows one workload from window to window.

    Attributes:
        phase: Of the latest window.
    """

    phase: Phase = Phase.STEADY
    _started_ns: int = 0
    _called_ns: int = 0
    _signs_ns: int = 0
    _listened: bool = False
    _calls: bool = False
    _reload_ns: int = 0
    _loaded_ns: int = 0

    def of(self, window: Window, found: Found, learned_bytes: float, *, held: bool) -> Phase:
        """Take one window in and return its phase.

        Args:
            window: Its own phase counts for nothing; its `weights_bytes` must be known.
            found: The workload, as last looked at.
            learned_bytes: Per second, of weights that it reads or maps while it serves.
            held: Whether the agent contains it.
        """
        age_s = _age_s(found)
        if found.started_ns != self._started_ns:
            served = not self._started_ns and not begins(found)  # for long, before it was met
            self._begin(found.started_ns, window.start_ns - round(age_s * _NS) if served else 0)
        elif not self._called_ns and window.features.get("accepts", 0.0):
            self._called_ns = window.end_ns
        self._listened |= bool(found.ports)
        calls = window.features.get("accepts", 0.0) > 0
        found.silent |= self._calls and not calls
        self._calls = calls
        self.phase = Phase.DRAIN if held else self._by_life(window, found, learned_bytes)
        return self.phase

    def _begin(self, started_ns: int, called_ns: int) -> None:
        """Follow another root; one that had served for long before it was met is past all this."""
        self._started_ns, self._called_ns = started_ns, called_ns
        self._listened, self._signs_ns, self._reload_ns, self._loaded_ns = False, 0, 0, 0

    def _by_life(self, window: Window, found: Found, learned_bytes: float) -> Phase:
        if not self._called_ns and begins(found):
            return Phase.STARTUP
        if self._listened and not found.ports:
            return Phase.DRAIN
        if self._warms_up(window, _age_s(found)):
            return Phase.WARMUP
        return Phase.RELOAD if self._reloads(window, learned_bytes) else Phase.STEADY

    def _warms_up(self, window: Window, age_s: float) -> bool:
        code_bytes = window.features.get("read_code_bytes", 0.0) * window.length_s
        if code_bytes >= CODE_BYTES or any(_is_code(item) for item in window.items):
            self._signs_ns = window.end_ns
        if not self._called_ns or window.start_ns - self._called_ns > MOST_WARMUP_S * _NS:
            return False
        return age_s <= SETTLE_S or _lingers(window, self._signs_ns)

    def _reloads(self, window: Window, learned_bytes: float) -> bool:
        if self._reload_ns and window.end_ns - self._reload_ns > 2 * MOST_RELOAD_S * _NS:
            self._reload_ns = 0
        if loads(window, learned_bytes):
            self._reload_ns = self._reload_ns or window.start_ns
            self._loaded_ns = window.end_ns
        over = window.end_ns - self._reload_ns > MOST_RELOAD_S * _NS
        return bool(self._reload_ns) and not over and _lingers(window, self._loaded_ns)


def begins(found: Found) -> bool:
    """Whether a server is in start-up if nobody called it yet."""
    age_s = _age_s(found)
    return age_s <= SETTLE_S or not (found.ports or age_s > MOST_STARTUP_S)


def _age_s(found: Found) -> float:
    return (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - found.started_ns) / _NS


def loads(window: Window, learned_bytes: float) -> bool:
    """Whether as much is read or mapped of weights as it holds, and never was while it served."""
    rate = sum(window.features.get(name, 0.0) for name in WEIGHTS)
    least = max(LEAST_BYTES, RELOADED * window.weights_bytes)
    return rate * window.length_s >= least and rate > 2 * learned_bytes


def is_starting(pid: int, roots: Iterable[int]) -> bool:
    """Whether a process below the root is so young that it is a worker's start."""
    process = None if not pid or pid in roots else read_process(pid)
    if process is None:
        return False
    age_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - process.id.start_ticks * NS_PER_TICK
    return age_ns <= WORKER_S * _NS


def _is_code(item: Item) -> bool:
    """Whether code was mapped, or compiled."""
    if item.kind is ItemKind.LIBRARY:
        return True
    found = sensitivity(item) if item.kind is ItemKind.EXEC else None
    return found is not None and found.name == "compiler"


def _lingers(window: Window, latest_ns: int) -> bool:
    return bool(latest_ns) and window.end_ns - latest_ns <= LINGER_S * _NS
