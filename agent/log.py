"""Structured log lines on stderr: an event name from a known list, and key/value facts.

JSON, one object a line, unless stderr is a terminal. Never a line per kernel
event: what is frequent is counted, and `log.once` tells of garbage one time.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TextIO

LEVELS: Final = ("debug", "info", "warning", "error")

EVENTS: Final = (
    "agent.failed",
    "agent.started",
    "agent.stopped",
    "baseline.approved",
    "baseline.fit_failed",
    "baseline.not_saved",
    "baseline.replaced",
    "baseline.set_aside",
    "baseline.state",
    "breaker.opened",
    "budget.recovered",
    "budget.stepped_back",
    "central.host_back",
    "central.host_silent",
    "central.key_refused",
    "central.question_refused",
    "central.started",
    "central.stopped",
    "central.store_failed",
    "central.stranger",
    "config.not_reloaded",
    "config.reloaded",
    "containment.expired",
    "containment.recovered",
    "control.client_gone",
    "control.garbage",
    "control.refused",
    "control.request_failed",
    "control.started",
    "control.stopped",
    "cuda.attached",
    "cuda.failed",
    "cuda.refused",
    "cuda.released",
    "evidence.collected",
    "evidence.failed",
    "files.unnoted",
    "gpu.uncounted",
    "guard.secrets_unmarked",
    "ledger.failed",
    "models.forged",
    "models.not_protected",
    "models.not_read",
    "probes.begun_anew",
    "probes.damaged",
    "probes.handed_over",
    "probes.not_carried_over",
    "probes.not_healed",
    "probes.operator_off",
    "probes.operator_on",
    "probes.operator_restarts",
    "probes.refused",
    "records.failed",
    "reflex.armed",
    "reflex.failed",
    "response.failed",
    "sensor.blind",
    "ship.connected",
    "ship.disconnected",
    "ship.garbage",
    "ship.outbox_failed",
    "ship.outbox_set_aside",
    "tap.forgotten",
    "tap.not_kept",
    "verdict.told",
    "window.failed",
    "workload.found",
    "workload.no_number",
)
"""Every event name in use; a test holds the source to it."""


class Log:
    """Writes events to one stream; safe to call from any thread.

    Args:
        stream: Where lines go; None means whatever `sys.stderr` is at that time.
        clock: Returns Unix time in seconds.
    """

    def __init__(
        self, stream: TextIO | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """Start at level info."""
        self._stream = stream
        self._clock = clock
        self._threshold = LEVELS.index("info")
        self._told: set[str] = set()
        self._lock = threading.Lock()

    def configure(self, level: str) -> None:
        """Write events of `level` (one of LEVELS) and above from now on."""
        self._threshold = LEVELS.index(level)

    def debug(self, event: str, **facts: object) -> None:
        """Tell what only a developer asks for."""
        self._write("debug", event, facts)

    def info(self, event: str, **facts: object) -> None:
        """Tell what an operator wants to find in the journal later."""
        self._write("info", event, facts)

    def warning(self, event: str, **facts: object) -> None:
        """Tell what works less well than it should."""
        self._write("warning", event, facts)

    def error(self, event: str, **facts: object) -> None:
        """Tell what did not work."""
        self._write("error", event, facts)

    def once(self, event: str, **facts: object) -> None:
        """Warn the first time only: for input that anyone may send as often as they like."""
        with self._lock:
            if event in self._told:
                return
            self._told.add(event)
        self._write("warning", event, facts)

    def _write(self, level: str, event: str, facts: dict[str, object]) -> None:
        if LEVELS.index(level) < self._threshold:
            return
        stream = sys.stderr if self._stream is None else self._stream
        line = _plain if stream.isatty() else _json
        text = line(self._clock(), level, event, facts)
        with self._lock:
            stream.write(text + "\n")
            stream.flush()


def _json(time_s: float, level: str, event: str, facts: dict[str, object]) -> str:
    line: dict[str, Any] = {"time": round(time_s, 3), "level": level, "event": event, **facts}
    return json.dumps(line, default=str)


def _plain(time_s: float, level: str, event: str, facts: dict[str, object]) -> str:
    words = " ".join(f"{key}={_word(value)}" for key, value in facts.items())
    return (
        f"{time.strftime('%H:%M:%S', time.localtime(time_s))} {level:<7} {event} {words}".rstrip()
    )


def _word(value: object) -> str:
    text = str(value)
    return json.dumps(text) if not text or set(text) & set(' "=\n\t') else text


log: Final = Log()
