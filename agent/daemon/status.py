"""What `agent status` answers: plain values, put together when somebody asks."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from agent import VERSION
from agent.daemon.health import rss_bytes
from detectors.assessment import BaselineState

if TYPE_CHECKING:
    from agent.daemon.daemon import Daemon
    from agent.daemon.watcher import Watcher

_NS: Final = 1_000_000_000
_MONTH_S: Final = 30 * 86_400.0
_SENSORS: Final = {
    "exec": ("EVENT_EXEC", "EVENT_ARGS"),
    "exit": ("EVENT_EXIT",),
    "file": ("EVENT_FILE",),
    "peer": ("EVENT_PEER", "EVENT_DENIED"),
    "listen": ("EVENT_LISTEN",),
    "change": ("EVENT_CHANGE",),
    "mapping": ("EVENT_MAPPING",),
    "syscall": ("EVENT_SYSCALL",),
    "name": ("EVENT_NAME",),
    "title": ("EVENT_TITLE",),
    "privilege": ("EVENT_PRIVILEGE",),
    "signal": ("EVENT_SIGNAL",),
    "shared memory": ("EVENT_SHARED",),
    "stack": ("EVENT_STACK",),
    "request kind": ("EVENT_REQUEST",),
    "gpu": ("EVENT_GPU",),
    "reflex": ("EVENT_REFLEX",),
}


class Status:
    """Puts the answer together; one per daemon."""

    def __init__(self, daemon: Daemon) -> None:
        """Look the kinds of records up once."""
        self._daemon = daemon
        self._kinds = daemon.sensor.schema.enum("event_kind")

    def answer(self) -> dict[str, Any]:
        """Everything `agent status` shows."""
        daemon, reasons = self._daemon, self._daemon.health.reasons()
        worst = max((grade for grade, _ in reasons), default=0)
        return {
            "health": ("healthy", "degraded", "unhealthy")[worst],
            "reasons": [words for _, words in reasons],
            "tier": daemon.sensor.tier,
            "version": VERSION,
            "abi": daemon.sensor.schema.limit("ABI_NUMBER"),
            "host": daemon.settings.host,
            "uptime_s": round((time.monotonic_ns() - daemon.started_ns) / _NS, 1),
            "workloads": [self._workload(w) for w in daemon.watchers.values()],
            "sensors": self._sensors(),
            "probes": [probe.as_json() for probe in daemon.operator.probes.values()],
            "handover": _handover(daemon),
            "stages": daemon.accounts.told(),
            "losses": self._losses(),
            "overhead": {
                "cpu_percent": round(daemon.health.cpu_percent(), 2),
                "rss_bytes": rss_bytes(),
                "step": daemon.health.step,
            },
            "outbox": _shipping(daemon),
            "containments": [
                one.as_json() | {"id": one.id, "sent": daemon.hands.sent(one)}
                for one in daemon.hands.live
            ],
            "gpu": daemon.devices.status() | {"driver calls": _cuda(daemon)},
            "models": daemon.approved.status(),
            "control": {"garbage": daemon.control.garbage, "refused": daemon.control.refused},
        }

    def _losses(self) -> dict[str, int]:
        """Every loss of every stage by its reason alone; the stages say where."""
        found: Counter[str] = Counter(self._daemon.losses)
        for stage in self._daemon.accounts.told():
            found.update(stage["lost"])
        return dict(found)

    def _sensors(self) -> dict[str, dict[str, int]]:
        """What each kind of record told. What found no room in the ring had no kind yet."""
        health, by_kind = self._daemon.health, self._daemon.router.crowds.by_kind
        rows = {
            name: {
                "events": sum(health.submitted[self._kinds[kind]] for kind in kinds),
                "summarised": sum(by_kind[self._kinds[kind]] for kind in kinds),
            }
            for name, kinds in _SENSORS.items()
        }
        read, losses = self._daemon.accounts.read, health.kernel_losses
        rows["ring"] = {"events": read, "lost": losses["ring_full"]}
        requests, full = health.counted["COUNT_REQUESTS"], losses["routes_full"]
        rows["request"] = {"events": requests, "lost": full}
        unsketched = health.counted["COUNT_UNSKETCHED"]
        rows["sketch"] = {"events": self._daemon.inputs.requests, "lost": unsketched}
        rows["unread connection"] = {"events": health.counted["COUNT_UNREAD"]}
        rows["TLS connection"] = {"events": health.counted["COUNT_TLS"]}
        rows["sequence"] = {"events": health.calls.total(), "lost": losses["grams_full"]}
        return rows

    def _workload(self, watcher: Watcher) -> dict[str, Any]:
        found, baseline, judge = watcher.found, watcher.judge.baseline, watcher.judge
        plain = baseline.summary()
        alarms = sum(watcher.counts[level] for level in ("high", "critical"))
        up_s = (time.monotonic_ns() - self._daemon.started_ns) / _NS
        return {
            "name": found.name,
            "engine": found.engine,
            "why": list(found.why),
            "state": baseline.state.value,
            "reason": baseline.reason,
            "phase": judge.phase.value,
            "pids": sorted(found.pids),
            "progress": _progress(watcher),
            "coverage": plain.get("coverage"),
            "verdicts": dict(watcher.counts),
            "nominal_false_alarms_per_month": judge.settings.false_alarms_per_month,
            "realised_false_alarms_per_month": round(alarms * _MONTH_S / max(up_s, 1.0), 1)
            if up_s > _MONTH_S / 30
            else None,
            "loss": watcher.lost,
            "summarised": watcher.summarised,
            "contained": watcher.held(),
            "reflex": self._daemon.reflexes.status(watcher),
            "tap": self._daemon.inputs.status(found.name),
            "last_verdict": watcher.last,
            "readings": {name: round(value, 3) for name, value in watcher.readings.items()},
        }


def _cuda(daemon: Daemon) -> str:
    """Which libraries are probed, in words."""
    told = daemon.cuda.status()
    words = [
        f"{one['path']} ({one['functions']} functions, {one['origin']})"
        for one in told["libraries"]
    ]
    words += [f"{one['path']} ({one['origin']})" for one in told["beside"]]
    return "; ".join([*words, *told["refused"]]) or "no watched process maps a driver's library"


def _handover(daemon: Daemon) -> dict[str, Any]:
    """How the probes took over from another object at this start; empty where they did not."""
    done = daemon.sensor.handover
    if done is None:
        return {}
    return {
        "gap_ms": round(done.gap_ms, 3),
        "took_ms": round(done.took_ms, 3),
        "made_anew": list(done.changed),
        "not_carried_over": list(daemon.sensor.notes),
    }


def _progress(watcher: Watcher) -> dict[str, Any]:
    """How far learning has come, against what it needs."""
    baseline, needed = watcher.judge.baseline, watcher.judge.settings
    now_ns = time.monotonic_ns()
    quiet_s = (now_ns - baseline.last_new_ns) / _NS if baseline.last_new_ns else 0.0
    shadow_s = (now_ns - baseline.shadow_since_ns) / _NS if baseline.shadow_since_ns else 0.0
    learning = baseline.state is BaselineState.LEARNING
    return {
        "windows": baseline.windows,
        "min_windows": needed.min_windows,
        "quiet_s": round(quiet_s, 1),
        "quiet_needed_s": needed.quiet_s,
        "shadow_s": round(shadow_s, 1),
        "shadow_needed_s": needed.shadow_s,
        "missing": list(baseline.missing(needed, now_ns)) if learning else [],
    }


def _shipping(daemon: Daemon) -> dict[str, Any]:
    if daemon.shipper is None:
        return {}
    stats = daemon.shipper.stats()
    return {
        "queued": stats.queued,
        "sent": stats.sent,
        "acked": stats.acked,
        "refused": stats.refused,
        "dropped": sum(stats.dropped.values()),
        "connected": stats.connected,
        "last_ack_age_s": stats.last_ack_age_s,
        "central": stats.central,
        "problem": stats.problem,
    }
