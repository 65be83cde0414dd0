"""How the agent itself is: losses, blindness, and what it costs."""

from __future__ import annotations

import time
from collections import Counter, deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from agent.daemon.integrity import Integrity
from agent.daemon.loop import REST_S
from agent.log import log
from collectors.counters import Counts

if TYPE_CHECKING:
    from agent.daemon.daemon import Daemon

_NS: Final = 1_000_000_000

RECENT_S: Final = 60.0
"""Losses of this long ago still make the agent degraded."""

SLOW_REST_S: Final = 0.05
"""Over the budget, records are read at most 20 times a second."""

CALM_SHARE: Final = 0.8
"""Of the budget: below it the agent steps forward again."""

COSTLY_ROUNDS: Final = 12
"""Health checks over the processor budget, in a row, before the agent takes a step back."""


class Health:
    """Watches the watcher."""

    def __init__(self, daemon: Daemon) -> None:
        """Begin to account."""
        self._daemon = daemon
        self._kinds = daemon.sensor.schema.enum("event_kind")
        self._reasons = {
            index: name.removeprefix("LOSS_").lower()
            for name, index in daemon.sensor.schema.enum("loss_reason").items()
            if name != "LOSS_MAX"
        }
        self._syscalls = daemon.sensor.schema.enum("counter")["COUNT_SYSCALLS"]
        self.integrity = Integrity(daemon)
        self.calls: Counter[int] = Counter()
        self.submitted: Counter[int] = Counter()
        self.counted: Counter[str] = Counter()
        self.kernel_losses: Counter[str] = Counter()
        self.evicted = 0
        self._lost_at_ns = 0
        self._usage: deque[tuple[int, float]] = deque(maxlen=13)
        self._costly = 0
        self.step = "full"

    def account(self, counts: Counts) -> None:
        """Add one reading of the kernel's counters."""
        lost = counts.losses.sum(axis=0)
        for index, name in self._reasons.items():
            if lost[index]:
                self.kernel_losses[name] += int(lost[index])
                self._lost_at_ns = time.monotonic_ns()
        for kind in self._kinds.values():
            if kind < len(counts.submitted):
                self.submitted[kind] += int(counts.submitted[kind])
        for number, calls in enumerate(counts.totals[:, self._syscalls]):
            if calls:
                self.calls[number] += int(calls)
        for name, index in self._daemon.sensor.schema.enum("counter").items():
            if index < counts.totals.shape[1]:
                self.counted[name] += int(counts.totals[:, index].sum())
        self.evicted += counts.evicted

    def check(self, now_ns: int) -> None:
        """Look for damage to the probes and for cost; called every few seconds."""
        self.integrity.check(now_ns)
        self._usage.append((now_ns, _cpu_s()))
        self._check_cost()
        if self._daemon.shipper is not None:
            status = self._daemon.status.answer()
            told = {k: status[k] for k in ("health", "reasons", "losses")}
            # A tail cut off the local log shows at central, which heard of a later head.
            self._daemon.shipper.report(told | {"log_head": self._daemon.store.head()})

    def _check_cost(self) -> None:
        """Step back before inference is hurt; step forward again when it is cheap."""
        budget = self._daemon.settings.budget.cpu_percent
        percent = self.cpu_percent()
        self._costly = self._costly + 1 if percent > budget else 0
        if self._costly >= COSTLY_ROUNDS and self.step == "full":
            self.step, self._daemon.loop.rest_s = "slow", SLOW_REST_S
            log.warning("budget.stepped_back", cpu_percent=round(percent, 2), budget=budget)
        elif self.step == "slow" and percent < CALM_SHARE * budget:
            self.step, self._daemon.loop.rest_s = "full", REST_S
            log.info("budget.recovered", cpu_percent=round(percent, 2))

    def cpu_percent(self) -> float:
        """Of one core, over the last minute."""
        if len(self._usage) < 2:  # noqa: PLR2004 - a difference takes two readings
            elapsed = (time.monotonic_ns() - self._daemon.started_ns) / _NS
            return 100.0 * _cpu_s() / max(elapsed, 1.0)
        (start_ns, start), (end_ns, end) = self._usage[0], self._usage[-1]
        return 100.0 * (end - start) * _NS / max(end_ns - start_ns, 1)

    def reasons(self) -> list[tuple[int, str]]:
        """What is not well: (1 degraded, 2 unhealthy; a sentence)."""
        daemon = self._daemon
        found = self.integrity.reasons(time.monotonic_ns())
        recent = time.monotonic_ns() - self._lost_at_ns < RECENT_S * _NS
        if self._lost_at_ns and recent:
            found.append((1, "records or counts were lost in the last minute"))
        found += [
            (1, f"a damaged file was set aside: {path}")
            for path in (*daemon.baselines.set_aside, *self._aside())
        ]
        lost = daemon.accounts.lost
        if failed := lost["failed"] + lost["not_judged"] + lost["window"]:
            found.append(
                (1, f"{failed} records or windows could not be judged: see the agent's log")
            )
        found += [(1, words) for words in daemon.operator.failing()]
        if daemon.store.waiting:
            found.append((1, f"{daemon.store.waiting} entries wait in memory: the disk is full"))
        if daemon.hands.breaker_open:
            found.append((1, "the breaker is open: the agent acts no more on its own for now"))
        found += [
            (1, f"the reflexes of {name} let everything pass for now: too many different acts")
            for name, watcher in daemon.watchers.items()
            if watcher.reflex and daemon.reflexes.spared(watcher, daemon.settings)
        ]
        if self.step != "full":
            found.append((1, "over its processor budget: records are read less often"))
        if rss_bytes() > daemon.settings.budget.rss_mib << 20:
            found.append((1, f"uses {rss_bytes() >> 20} MiB, more than its budget"))
        if daemon.shipper is not None and (problem := daemon.shipper.stats().problem):
            found.append((1, f"nothing reaches central: {problem}"))
        return found

    def _aside(self) -> list[Path]:
        daemon = self._daemon
        ship = daemon.shipper.stats().set_aside if daemon.shipper else None
        places = (daemon.store.set_aside, *daemon.containments.set_aside, ship)
        return [path for path in places if path is not None]


def _cpu_s() -> float:
    """Processor seconds of this process and of the workers that have ended."""
    times = psutil.Process().cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def rss_bytes() -> int:
    """Resident memory of this process."""
    return int(psutil.Process().memory_info().rss)
