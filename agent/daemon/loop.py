"""The one loop: kernel records, ticks, and work that other threads hand over."""

import os
import selectors
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from agent.errors import AgentError

REST_S: Final = 0.002
"""After a batch: what belongs together arrives together; at most 500 wake-ups a second."""

FLOOD_PER_S: Final = 2_000
FLOOD_RECORDS: Final = 512
FLOOD_REST_S: Final = 0.1
"""So many records beyond so many a second are a flood: then they are gathered for so long, and told
by directory. A program's start, with its few hundred files, is none. The ring holds 16,384."""


class LoopStoppedError(AgentError):
    """The agent is stopping: ask again when it runs."""

    exit_code = 3


class Loop:
    """Waits for a descriptor or the next tick.

    Args:
        ring_fd: Readable when the kernel has records.
        on_records: Called then, and at each tick; returns how many records it took.
        tick_s: Longest time between two calls of `on_records`.
    """

    def __init__(self, ring_fd: int, on_records: Callable[[], int], tick_s: float) -> None:
        """Make the descriptor by which other threads wake the loop."""
        self._on_records = on_records
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(ring_fd, selectors.EVENT_READ)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._calls: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, float, Callable[[int], None]]] = []
        self._thread = 0
        self._running = True
        self._tick_s = tick_s
        self.rest_s = REST_S
        self._flood = Flood(time.monotonic())
        self.signals: dict[int, Callable[[], None]] = {}

    def every(self, period_s: float, act: Callable[[int], None]) -> None:
        """Call `act(now_ns)` (CLOCK_MONOTONIC) each `period_s` seconds, first after one period."""
        self._timers.append((time.monotonic() + period_s, period_s, act))

    def post(self, act: Callable[[], None]) -> None:
        """Run `act` in the loop soon; safe from any thread and from a signal handler."""
        self._calls.append(act)
        self.wake()

    def ask(self, act: Callable[[], Any], timeout_s: float = 10.0) -> Any:  # noqa: ANN401 - what act returns
        """Run `act` in the loop and return what it returns, or raise what it raises."""
        if threading.get_ident() == self._thread:
            return act()
        if not self._running:
            raise LoopStoppedError
        answer: Future[Any] = Future()
        self.post(lambda: _settle(answer, act))
        return answer.result(timeout_s)

    def wake(self) -> None:
        """End the current wait."""
        try:
            os.write(self._wake_write, b"\0")
        except BlockingIOError:
            return  # the pipe is full of wake-ups already

    def stop(self) -> None:
        """Leave `run` after the current round."""
        self._running = False
        self.wake()

    def run(self) -> None:
        """Go round until `stop`."""
        self._thread = threading.get_ident()
        for number in self.signals:
            signal.signal(number, self._on_signal)
        while self._running:
            ready = self._selector.select(self._wait_s())
            if any(key.fd == self._wake_read for key, _ in ready):
                os.read(self._wake_read, 4096)
            flooded = self._flood.takes(self._on_records(), time.monotonic())
            self._due()
            while self._calls:
                self._calls.popleft()()
            if ready:
                time.sleep(max(self.rest_s, FLOOD_REST_S) if flooded else self.rest_s)

    def _on_signal(self, number: int, _frame: object) -> None:
        self.post(self.signals[number])

    def _wait_s(self) -> float:
        next_timer = min((due for due, _, _ in self._timers), default=float("inf"))
        return max(0.0, min(self._tick_s, next_timer - time.monotonic()))

    def _due(self) -> None:
        for i, (due, period, act) in enumerate(self._timers):
            now = time.monotonic()
            if now >= due:
                # A late round does not make up for missed ones: the window is longer, and says so.
                self._timers[i] = (max(due + period, now), period, act)
                act(time.monotonic_ns())


class Flood:
    """A bucket that leaks: it overflows when more comes for some time than is usual."""

    def __init__(self, now_s: float) -> None:
        """Begin empty."""
        self._held, self._at_s = 0.0, now_s

    def takes(self, records: int, now_s: float) -> bool:
        """Take in what came until now; whether that is a flood."""
        left = self._held - FLOOD_PER_S * (now_s - self._at_s)
        self._held, self._at_s = min(max(left, 0.0) + records, 2.0 * FLOOD_RECORDS), now_s
        return self._held > FLOOD_RECORDS


def _settle(answer: "Future[Any]", act: Callable[[], Any]) -> None:
    try:
        answer.set_result(act())
    except Exception as error:  # noqa: BLE001 - handed to the thread that asked
        answer.set_exception(error)
