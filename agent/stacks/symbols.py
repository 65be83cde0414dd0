"""Asks a worker for the names of a stack; what it does not answer in time stays an offset."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from agent.confined import SEE, confined
from agent.operator.runner import Worker
from agent.stacks import worker
from agent.stacks.modules import Modules, frame

ANSWER_S: Final = 5.0
"""A second to start, more on a busy host; a verdict waits no longer."""

IDLE_S: Final = 60.0
"""Without questions the worker ends, and gives its memory back."""

MOST_ASKED: Final = 16
"""Questions under way; a storm of novelty does not become one of symbols."""

DEEPEST: Final = 40


@dataclass(slots=True)
class Trace:
    """One stack on its way to names.

    Attributes:
        frames: As a verdict has them, newest call first.
        done: Whether this is all there will be.
        then: Called in the loop once it is done.
    """

    frames: list[dict[str, Any]]
    modules: Modules
    asked_s: float
    done: bool = False
    then: list[Callable[[], None]] = field(default_factory=list)

    def finish(self) -> None:
        """No more will come."""
        if not self.done:
            self.done = True
            for act in self.then:
                act()


class Symbols:
    """Lives in the daemon's loop.

    Args:
        post: Runs something in the loop.
    """

    def __init__(self, post: Callable[[Callable[[], None]], None]) -> None:
        """Start no worker yet; find out how meanwhile, which the loop could not wait for."""
        threading.Thread(target=confined, args=(SEE,), daemon=True).start()
        self._post = post
        self._worker: Worker | None = None
        self._asked: dict[int, Trace] = {}
        self._number = 0
        self._used_s = 0.0

    def ask(self, pid: int, chain: tuple[int, ...], words: tuple[int, ...]) -> Trace:
        """Read what the process has mapped at once, and ask for names."""
        modules, now_s = Modules.of(pid), time.monotonic()
        frames = [frame(address, modules) for address in chain if modules.find(address)]
        trace = Trace(frames[:DEEPEST], modules, now_s)
        if not frames or len(self._asked) >= MOST_ASKED:
            trace.finish()
            return trace
        self._number += 1
        question = {
            "number": self._number,
            "pid": pid,
            "chain": list(chain),
            "words": list(words),
            "modules": modules.plain(),
        }
        if self._worker is None:
            self._worker = Worker(question, self._hear, self._post, worker.__name__, SEE)
        elif not self._worker.send(question):
            trace.finish()
            return trace
        self._asked[self._number], self._used_s = trace, now_s
        return trace

    def _hear(self, message: list[Any]) -> None:
        number, named = message
        trace = self._asked.pop(number, None)
        if trace is not None and not trace.done:
            frames = [frame(address, trace.modules, symbol) for address, symbol in named]
            trace.frames = frames[:DEEPEST]
            trace.finish()

    def tick(self, _now_ns: int) -> None:
        """Give up what took too long; end a worker that hangs or has nothing to do."""
        if self._worker is None:
            return
        now_s = time.monotonic()
        self._worker.flush()
        late = [n for n, trace in self._asked.items() if now_s - trace.asked_s > ANSWER_S]
        ended = self._worker.ended() is not None
        if late or ended or (not self._asked and now_s - self._used_s > IDLE_S):
            self.close()

    def close(self) -> None:
        """End the worker; what was asked stays as it is."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
        asked, self._asked = self._asked, {}
        for trace in asked.values():
            trace.finish()
