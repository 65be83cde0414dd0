"""Blind is who makes calls that nobody counts; who computes or sleeps is not."""

import os
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from agent.daemon.sight import BLIND_CALLS, BLIND_CPU_S, Activity, Sight, activity

PIDS = {"served": frozenset({7})}
LOOKS = 4


class Host:
    """What /proc would say, look by look."""

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self.activity = Activity()

    def works(self, calls: int, faults: int = 0) -> None:
        """The server uses the processor, and makes so many calls."""
        self.cpu_s += 2 * BLIND_CPU_S
        before = self.activity
        self.activity = Activity(before.reads, before.sleeps + calls, before.major_faults + faults)


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    with (
        patch("agent.daemon.sight._cpu_s", lambda _: host.cpu_s),
        patch("agent.daemon.sight.activity", lambda _: host.activity),
    ):
        yield host


def _looks(sight: Sight, host: Host, calls: int, faults: int = 0) -> list[str]:
    told = []
    for _ in range(LOOKS):
        host.works(calls, faults)
        told += sight.look(PIDS, {"served": 1})
    return told


def test_a_server_whose_calls_are_not_counted_is_blind_at_the_fourth_look(host: Host) -> None:
    sight = Sight()
    sight.look(PIDS, {"served": 1})
    assert _looks(sight, host, BLIND_CALLS) == ["served"]
    assert sight.blind == {"served"}


def test_it_is_told_once(host: Host) -> None:
    sight = Sight()
    assert _looks(sight, host, BLIND_CALLS) + _looks(sight, host, BLIND_CALLS) == ["served"]


def test_a_server_that_only_computes_is_not_blind(host: Host) -> None:
    sight = Sight()
    assert _looks(sight, host, 0) == []
    assert sight.blind == set()


def test_sleeps_for_pages_that_had_to_be_read_are_no_calls(host: Host) -> None:
    assert _looks(Sight(), host, BLIND_CALLS, faults=1) == []


def test_a_counted_call_ends_the_blindness(host: Host) -> None:
    sight = Sight()
    _looks(sight, host, BLIND_CALLS)
    sight.look(PIDS, {"served": 2})
    assert sight.blind == set()


def test_a_workload_that_is_gone_is_not_blind(host: Host) -> None:
    sight = Sight()
    _looks(sight, host, BLIND_CALLS)
    sight.look({}, {})
    assert sight.blind == set()


def test_proc_counts_the_reads_of_a_process() -> None:
    before = activity({os.getpid()})
    for _ in range(BLIND_CALLS):
        os.read(os.open("/proc/self/stat", os.O_RDONLY | os.O_CLOEXEC), 8)
    assert activity({os.getpid()}).calls_since(before) >= BLIND_CALLS
