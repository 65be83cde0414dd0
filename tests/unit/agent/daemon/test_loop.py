"""The loop: what other threads hand over, timers, signals, the end."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from agent.daemon.loop import FLOOD_PER_S, FLOOD_RECORDS, Flood, Loop, LoopStoppedError
from agent.errors import UnknownError

LIMIT_S = 5.0


class Ring:
    """A pipe in the ring's place: readable when something came."""

    def __init__(self) -> None:
        self.read, self.write = os.pipe2(os.O_NONBLOCK)
        self.rounds = 0
        self.bytes = 0

    def take(self) -> int:
        self.rounds += 1
        taken = 0
        with suppress(BlockingIOError):
            taken = len(os.read(self.read, 4096))
        self.bytes += taken
        return taken


@pytest.fixture
def ring() -> Iterator[Ring]:
    ring = Ring()
    yield ring
    os.close(ring.read)
    os.close(ring.write)


@pytest.fixture
def loop(ring: Ring) -> Loop:
    return Loop(ring.read, ring.take, 1.0)


@pytest.fixture
def running(loop: Loop) -> Iterator[Loop]:
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    yield loop
    loop.stop()
    thread.join(LIMIT_S)
    assert not thread.is_alive()


def wait_until(done: threading.Event) -> None:
    assert done.wait(LIMIT_S)


def test_what_was_asked_comes_back_to_the_asking_thread(running: Loop) -> None:
    assert running.ask(lambda: 6 * 7) == 42


def test_what_is_asked_runs_in_the_loops_own_thread(running: Loop) -> None:
    assert running.ask(threading.get_ident) != threading.get_ident()


def test_an_error_reaches_whoever_asked_and_the_loop_goes_on(running: Loop) -> None:
    def fail() -> None:
        raise UnknownError("workload", "none")

    with pytest.raises(UnknownError, match="none"):
        running.ask(fail)
    assert running.ask(lambda: True)


def test_asking_from_within_the_loop_does_not_wait_for_itself(running: Loop) -> None:
    assert running.ask(lambda: running.ask(lambda: "inner")) == "inner"


def test_asking_a_stopped_loop_is_an_error_at_once(running: Loop) -> None:
    running.stop()
    with pytest.raises(LoopStoppedError):
        running.ask(lambda: None)


def test_posted_work_runs_in_order_and_soon(running: Loop) -> None:
    order: list[int] = []
    done = threading.Event()
    began = time.monotonic()
    for number in range(100):
        running.post(lambda number=number: order.append(number))  # type: ignore[misc]
    running.post(done.set)
    wait_until(done)
    assert order == list(range(100))
    assert time.monotonic() - began < 0.5


def test_records_are_taken_when_they_come_not_at_the_next_tick(running: Loop, ring: Ring) -> None:
    running.ask(lambda: None)
    began = time.monotonic()
    os.write(ring.write, b"x")
    while not ring.bytes:
        assert time.monotonic() - began < 0.5
        time.sleep(0.001)


def test_a_timer_is_called_each_period_with_a_rising_clock(loop: Loop) -> None:
    times: list[int] = []
    loop.every(0.02, times.append)
    loop.every(0.2, lambda _: loop.stop())
    loop.run()
    assert 3 <= len(times) <= 10
    assert times == sorted(times)
    assert time.monotonic_ns() - times[-1] < 1_000_000_000


def test_missed_periods_are_not_made_up_for(loop: Loop) -> None:
    calls: list[int] = []

    def slow(now_ns: int) -> None:
        calls.append(now_ns)
        if len(calls) == 1:
            time.sleep(0.1)

    loop.every(0.01, slow)
    loop.every(0.15, lambda _: loop.stop())
    loop.run()
    assert len(calls) <= 7


def test_a_signal_is_handled_in_the_loop(loop: Loop) -> None:
    before = signal.getsignal(signal.SIGUSR2)
    loop.signals = {signal.SIGUSR2: loop.stop}
    loop.every(0.02, lambda _: os.kill(os.getpid(), signal.SIGUSR2))
    try:
        loop.run()
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_many_wake_ups_never_block_whoever_wakes(loop: Loop) -> None:
    for _ in range(100_000):
        loop.wake()


def test_a_start_of_a_program_is_no_flood() -> None:
    flood = Flood(0.0)
    assert not any(flood.takes(20, 0.002 * at) for at in range(1, 20))


def test_what_goes_on_beyond_the_usual_is_a_flood_and_ends_as_one() -> None:
    flood = Flood(0.0)
    assert not flood.takes(FLOOD_RECORDS, 0.0)
    assert flood.takes(FLOOD_RECORDS, 0.1)
    assert flood.takes(1, 0.2)
    assert not flood.takes(0, 0.2 + FLOOD_RECORDS / FLOOD_PER_S)
