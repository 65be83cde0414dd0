"""Work, copies and GPU memory that nothing explains, once they last: items for the judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from detectors.assessment import Level
from detectors.unasked import WORK, UnaskedWork
from detectors.window import Item, ItemKind, Window

UNASKED: Final = "work-without-requests"
GPU_UNASKED: Final = "gpu-work-without-requests"
FETCHED: Final = "gpu-copies-without-replies"
KEPT: Final = "gpu-memory-kept"
GRAVE: Final = "lasting"
"""The mark of one that has gone on for long, or took much."""

LASTING_NS: Final = 5_000_000_000
GRAVE_NS: Final = 30_000_000_000
"""So long without a break before it is worth telling, and before it is grave: collecting garbage
or writing a log takes a second or two. Copies are told at once: a model is out in seconds."""

BREAK_NS: Final = 600_000_000
"""Less is no break: on a busy host windows come late and short, and processor time falls into the
wrong one. At one second a window, every one without is a break."""

HELD: Final = ("gpu_held_bytes", "gpu_memory_bytes")
"""Of a workload: counted at the driver's library; told by NVML, also where no probe is allowed."""

KEPT_NS: Final = 30_000_000_000
"""A server that changes its model holds two of them for seconds."""

KEPT_FACTOR: Final = 1.1
KEPT_FLOOR_BYTES: Final = 64 << 20
"""Memory beyond the learnt high that is nothing: allocators round up to pieces of some MiB."""

MODEL_SHARE: Final = 0.1
"""Of what the GPU holds, copied beyond what replies explain: a part of a model that matters, as of
uploads."""

UNKNOWN_BYTES: Final = 8 << 30
"""What a model is taken to have where neither its memory nor its files were seen."""

LEVELS: Final = {
    UNASKED: (Level.MEDIUM, Level.HIGH),
    GPU_UNASKED: (Level.MEDIUM, Level.HIGH),
    FETCHED: (Level.MEDIUM, Level.HIGH),
    KEPT: (Level.MEDIUM, Level.MEDIUM),
}
"""When it is told, and once it is grave."""

REASONS: Final = {
    UNASKED: "it computes while nothing is asked of it, as a miner does",
    GPU_UNASKED: "its GPU computes while nothing is asked of it, as a miner's does",
    FETCHED: "far more leaves its GPU than its replies explain, as when a model is copied",
    KEPT: "GPU memory does not come back, as of a leak or of work beside the model",
}
TECHNIQUES: Final = {
    UNASKED: ("T1496.001", "AML.T0048.000"),
    GPU_UNASKED: ("T1496.001", "AML.T0048.000"),
    FETCHED: ("T1005", "AML.T0025", "AML.T0035"),
    KEPT: ("T1496.001", "AML.T0029"),
}

_GROUPS: Final = {
    "cpu_percent": UNASKED,
    "gpu_percent": GPU_UNASKED,
    "gpu_launches": GPU_UNASKED,
    "gpu_fetched_bytes": FETCHED,
    "gpu_copied_bytes": FETCHED,
    "gpu_calls": GPU_UNASKED,
}
_WORDS: Final = {
    "cpu_percent": "",  # the share of a core says nothing that the sentence does not
    "gpu_percent": "{0:.0f} % of a GPU, {1:.0f} explained",
    "gpu_launches": "{0:,.0f} launches a second, {1:,.0f} explained",
    "gpu_fetched_bytes": "{0:,.0f} bytes a second, {1:,.0f} explained",
    "gpu_copied_bytes": "{0:,.0f} bytes a second either way, {1:,.0f} explained",
    "gpu_calls": "{0:,.0f} calls to its driver a second, {1:,.0f} explained",
}


@dataclass(slots=True)
class Unexplained:
    """Remembers since when each goes on.

    Attributes:
        since_ns: By name, without a break, CLOCK_MONOTONIC.
        latest_ns: By name, end of the latest window that showed it.
        copied_bytes: Beyond what replies explain, since then.
    """

    since_ns: dict[str, int] = field(default_factory=dict)
    latest_ns: dict[str, int] = field(default_factory=dict)
    copied_bytes: float = 0.0

    def look(
        self, window: Window, model: UnaskedWork | None, held_high: Mapping[str, float]
    ) -> tuple[Item, ...]:
        """Return what has lasted in this window.

        Args:
            window: In the steady state, without loss or loading.
            model: What traffic explains; None: nothing is measured by it.
            held_high: What was learnt as ordinary of each of HELD, bytes; absent: nothing was.
        """
        going = {} if model is None else self._unasked(window, model)
        for name, high in held_high.items():
            if (held := window.features.get(name, 0.0)) > _limit(high):
                going[KEPT] = f"{held:,.0f} bytes, learnt at most {high:,.0f}"
        self._go_on(going, window)
        return tuple(
            Item(
                ItemKind.PROBE if name == UNASKED else ItemKind.GPU,
                name,
                "main",
                window.end_ns,
                0,
                marks=frozenset({GRAVE} if self._grave(name, window) else ()),
                other=words,
            )
            for name, words in going.items()
            if self._lasts(name, window)
        )

    def forget(self) -> None:
        """Something excuses it: begin anew."""
        self.since_ns.clear()
        self.latest_ns.clear()
        self.copied_bytes = 0.0

    def _unasked(self, window: Window, model: UnaskedWork) -> dict[str, str]:
        """Return what goes beyond its limit in this window, with the numbers."""
        row = window.row
        if model.idles(row):
            return {}
        explained = dict(zip(WORK, model.explained(row), strict=True))
        over = {name: times for name, times in model.excess(row).items() if times >= 1}
        found: dict[str, str] = {}
        for name in sorted(over, key=lambda one: over[one]):  # the largest has the last word
            value = window.features[name]
            found[_GROUPS[name]] = _WORDS[name].format(value, explained[name])
            if _GROUPS[name] == FETCHED:
                self.copied_bytes += (value - float(explained[name])) * window.length_s
        return found

    def _go_on(self, going: Mapping[str, str], window: Window) -> None:
        self.latest_ns |= dict.fromkeys(going, window.end_ns)
        kept = [n for n, at_ns in self.latest_ns.items() if window.end_ns - at_ns <= BREAK_NS]
        self.latest_ns = {name: self.latest_ns[name] for name in kept}
        self.since_ns = {name: self.since_ns.get(name, window.start_ns) for name in kept}
        if FETCHED not in going:
            self.copied_bytes = 0.0

    def _lasts(self, name: str, window: Window) -> bool:
        least = {FETCHED: 0, KEPT: KEPT_NS}.get(name, LASTING_NS)
        return window.end_ns - self.since_ns[name] >= least

    def _grave(self, name: str, window: Window) -> bool:
        held = next(filter(None, map(window.features.get, HELD)), 0.0)
        model = held or window.weights_bytes or UNKNOWN_BYTES
        if name == FETCHED and self.copied_bytes >= MODEL_SHARE * model:
            return True
        return window.end_ns - self.since_ns[name] >= GRAVE_NS


def _limit(held_high: float) -> float:
    return max(KEPT_FACTOR * held_high, held_high + KEPT_FLOOR_BYTES)
