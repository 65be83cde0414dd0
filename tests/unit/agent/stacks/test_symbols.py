"""Names for a stack: from a worker in time, or module and offset."""

from collections.abc import Callable
from typing import Any

import pytest

from agent.stacks import symbols as module
from agent.stacks.modules import Modules
from agent.stacks.symbols import ANSWER_S, IDLE_S, MOST_ASKED, Symbols, Trace

MAPS = "1000-2000 r-xp 00000000 fe:00 11 /srv/server\n"
CHAIN = (0x1010, 0x99, 0x1020)


class Worker:
    """Remembers what it was asked."""

    last: "Worker"

    def __init__(self, job: Any, hear: Callable[[list[Any]], None], *_: object) -> None:  # noqa: ANN401 - plain values
        self.asked, self.hear, self.stopped, self.how = [job], hear, False, None
        Worker.last = self

    def send(self, question: object) -> bool:
        self.asked.append(question)
        return True

    def flush(self) -> bool:
        return True

    def ended(self) -> str | None:
        return self.how

    def stop(self) -> None:
        self.stopped = True


class Clock:
    now_s = 100.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "Worker", Worker)
    monkeypatch.setattr("agent.stacks.symbols.time.monotonic", lambda: clock.now_s)
    monkeypatch.setattr(Modules, "of", classmethod(lambda cls, _: cls.parse(MAPS)))
    return clock


@pytest.fixture
def symbols(clock: Clock) -> Symbols:
    return Symbols(lambda act: act())


def told(trace: Trace) -> list[str]:
    return [frame["symbol"] for frame in trace.frames]


def test_a_worker_names_the_frames_and_those_who_wait_are_called(symbols: Symbols) -> None:
    trace, called = symbols.ask(7, CHAIN, (1, 2)), []
    trace.then.append(lambda: called.append(1))
    assert (trace.done, called) == (False, [])
    Worker.last.hear([1, [[0x1010, "open+0x1"], [0x1020, ""]]])
    assert (trace.done, called) == (True, [1])
    assert told(trace) == ["open+0x1", "+0x20"]


def test_what_is_not_answered_in_time_stays_module_and_offset(
    symbols: Symbols, clock: Clock
) -> None:
    trace = symbols.ask(7, CHAIN, ())
    clock.now_s += ANSWER_S + 1
    symbols.tick(0)
    assert trace.done
    assert told(trace) == ["+0x10", "+0x20"]
    assert Worker.last.stopped


def test_a_worker_that_ended_leaves_nobody_waiting(symbols: Symbols) -> None:
    trace = symbols.ask(7, CHAIN, ())
    Worker.last.how = "its worker was ended by SIGSEGV"  # type: ignore[assignment]
    symbols.tick(0)
    assert trace.done


def test_a_process_that_has_gone_is_not_asked_about(
    symbols: Symbols, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Modules, "of", classmethod(lambda cls, _: cls([])))
    trace = symbols.ask(7, CHAIN, ())
    assert trace.done
    assert trace.frames == []


def test_a_storm_is_not_asked_about(symbols: Symbols) -> None:
    traces = [symbols.ask(7, CHAIN, ()) for _ in range(MOST_ASKED + 1)]
    assert [trace.done for trace in traces] == [False] * MOST_ASKED + [True]


def test_an_idle_worker_ends_and_a_new_question_starts_another(
    symbols: Symbols, clock: Clock
) -> None:
    symbols.ask(7, CHAIN, ())
    first = Worker.last
    first.hear([1, [[0x1010, "open"]]])
    clock.now_s += IDLE_S + 1
    symbols.tick(0)
    assert first.stopped
    symbols.ask(7, CHAIN, ())
    assert Worker.last is not first
