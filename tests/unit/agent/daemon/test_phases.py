import time

import pytest

from agent.daemon.phases import (
    LEAST_BYTES,
    LINGER_S,
    MOST_RELOAD_S,
    MOST_STARTUP_S,
    MOST_WARMUP_S,
    SETTLE_S,
    Phases,
)
from agent.daemon.registry import Found
from detectors.window import Item, ItemKind, Phase, Window

NS = 1_000_000_000
LIBRARY = Item(ItemKind.LIBRARY, "/srv/venv/x.so", "main", 1, 1)
COMPILER = Item(ItemKind.EXEC, "/usr/bin/gcc", "unknown-child", 1, 1)


class Life:
    """Windows of a second, one after the other, of a server that ages as they pass."""

    def __init__(self, age_s: float, *ports: int) -> None:
        self.found = Found("embedder", "generic", 2, ports=frozenset(ports))
        start_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - round(age_s * NS)
        self.found.started_ns = start_ns
        self.phases = Phases()
        self.at_s = 1000.0

    def passes(self, seconds: float) -> None:
        """Let time go by without windows."""
        self.at_s += seconds

    def window(
        self,
        *items: Item,
        weights: int = 0,
        held: bool = False,
        learned: float = 0.0,
        **read: float,
    ) -> Phase:
        start_ns = round(self.at_s * NS)
        self.at_s += 1
        window = Window(
            "embedder", start_ns, 1.0, Phase.STEADY, 0, read, (), items, weights_bytes=weights
        )
        return self.phases.of(window, self.found, learned, held=held)


def restarted(*ports: int) -> Life:
    """A server that was met when it was old, and has just begun anew."""
    life = Life(3600, 8000)
    life.window(accepts=3.0)
    life.found.started_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    life.found.ports = frozenset(ports)
    return life


def test_a_young_server_is_in_start_up_until_somebody_calls() -> None:
    life = restarted(8000)
    assert life.window(accepts=5.0) is Phase.STARTUP  # of its predecessor, maybe
    assert life.window() is Phase.STARTUP
    assert life.window(accepts=1.0) is Phase.WARMUP


def test_a_listening_server_that_nobody_calls_is_steady_in_the_end() -> None:
    assert Life(SETTLE_S - 1, 8000).window() is Phase.STARTUP
    assert Life(SETTLE_S + 1, 8000).window() is Phase.STEADY


def test_a_server_that_loads_without_listening_is_in_start_up_but_not_for_ever() -> None:
    assert Life(SETTLE_S + 1).window() is Phase.STARTUP
    assert Life(MOST_STARTUP_S + 1).window() is Phase.STEADY


@pytest.mark.parametrize("sign", [LIBRARY, COMPILER])
def test_first_calls_that_map_or_compile_code_are_a_warm_up(sign: Item) -> None:
    life = Life(SETTLE_S + 1)
    life.window()
    life.found.ports = frozenset({8000})
    assert life.window(sign, accepts=1.0) is Phase.WARMUP
    assert life.window() is Phase.WARMUP
    life.passes(LINGER_S)
    assert life.window() is Phase.STEADY


def test_a_warm_up_ends_whatever_goes_on_being_loaded() -> None:
    life = Life(SETTLE_S + 1)
    life.window()
    life.found.ports = frozenset({8000})
    phases = [life.window(LIBRARY, accepts=1.0) for _ in range(round(MOST_WARMUP_S) + 3)]
    assert phases[0] is Phase.WARMUP
    assert phases[-1] is Phase.STEADY


def test_code_loaded_long_after_the_first_call_is_no_warm_up() -> None:
    life = Life(3600, 8000)
    assert life.window(LIBRARY, accepts=1.0) is Phase.STEADY


def test_weights_read_anew_as_a_whole_are_a_reload() -> None:
    life = Life(3600, 8000)
    size = 40 << 20
    assert life.window(weights=size, read_weights_bytes=size / 8) is Phase.STEADY
    assert life.window(weights=size, read_weights_bytes=float(size)) is Phase.RELOAD
    assert life.window(weights=size) is Phase.RELOAD
    life.passes(LINGER_S)
    assert life.window(weights=size) is Phase.STEADY
    assert life.window(weights=size, mapped_weights_bytes=float(size)) is Phase.RELOAD


def test_what_it_reads_of_weights_while_it_serves_is_no_reload() -> None:
    life, rate = Life(3600, 8000), float(16 * LEAST_BYTES)
    assert life.window(weights=1, read_weights_bytes=rate, learned=rate) is Phase.STEADY
    assert life.window(weights=1, read_weights_bytes=LEAST_BYTES / 2) is Phase.STEADY


def test_reading_weights_for_ever_is_no_reload_for_ever() -> None:
    life = Life(3600, 8000)
    read = {"weights": 1, "read_weights_bytes": 1e9}
    phases = [life.window(**read) for _ in range(round(2 * MOST_RELOAD_S))]  # type: ignore[arg-type]
    assert phases.count(Phase.RELOAD) <= MOST_RELOAD_S + 1
    assert phases[-1] is Phase.STEADY


def test_a_server_whose_listener_is_gone_drains() -> None:
    life = Life(3600, 8000)
    life.window(accepts=1.0)
    life.found.ports = frozenset()
    assert life.window() is Phase.DRAIN


def test_a_held_workload_is_draining() -> None:
    assert Life(0.0).window(held=True) is Phase.DRAIN
