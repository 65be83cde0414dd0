"""What was asked, as readings: what was never read is absent, not 0."""

from dataclasses import replace

import numpy as np
import pytest

from agent.daemon.asked import Asked
from collectors.counters import Counts
from collectors.requests import ClientTraffic, RouteTraffic, Traffic
from probes import schema
from probes.loader import OBJECT

NUMBER = 2


@pytest.fixture
def asked() -> Asked:
    return Asked(schema.load(OBJECT))


@pytest.fixture
def counts() -> Counts:
    types = schema.load(OBJECT)
    totals = np.zeros((4, len(types.enum("counter"))), np.uint64)
    totals[NUMBER, types.enum("counter")["COUNT_TLS"]] = 6
    nothing = np.zeros((4, 0), np.uint64)
    grams = np.zeros(0, [("workload", "<u4"), ("word", "<u8"), ("count", "<u8")])
    return Counts(grams, totals, nothing, nothing, nothing, nothing, np.zeros(0, np.uint64), 0)


def traffic() -> Traffic:
    waits = np.zeros(112, np.int64)
    waits[48] = 20
    route = RouteTraffic("POST /predict", 20, 10, 20, 4, 2, 8_000, 900)
    client = ClientTraffic("10.0.0.1", 18, 7_200, 6, 3)
    return Traffic((route,), (client,), 2, {"private": 20}, 1, 10, 0, waits, np.zeros(32, np.int64))


def test_readings_are_rates_and_means(asked: Asked, counts: Counts) -> None:
    found = asked.readings(replace(counts, traffic={NUMBER: traffic()}), NUMBER, 2.0)
    assert found["requests"] == 10.0
    assert (found["request_errors"], found["request_refusals"]) == (2.0, 1.0)
    assert (found["request_size"], found["answer_size"]) == (400.0, 90.0)
    assert (found["clients"], found["client_requests"]) == (2.0, 9.0)
    assert found["answer_wait_p50"] == pytest.approx(4.7, rel=0.13)
    assert "answer_gap_p50" not in found


def test_a_server_of_which_nothing_was_read_is_not_one_that_is_not_asked(
    asked: Asked, counts: Counts
) -> None:
    found = asked.readings(counts, NUMBER, 2.0)
    assert "requests" not in found
    assert found["tls_connections"] == 3.0
    asked.readings(replace(counts, traffic={NUMBER: traffic()}), NUMBER, 2.0)
    assert asked.readings(counts, NUMBER, 2.0)["requests"] == 0.0


def test_detectors_are_given_the_busiest_client_and_every_route(
    asked: Asked, counts: Counts
) -> None:
    found = asked.traffic(replace(counts, traffic={NUMBER: traffic()}), NUMBER, 2.0)
    assert found is not None
    assert (found.client, found.client_requests, found.client_inputs) == ("10.0.0.1", 18, 3)
    assert [(one.route, one.requests, one.errors) for one in found.routes] == [
        ("POST /predict", 20, 4)
    ]
    assert asked.traffic(counts, NUMBER, 2.0) is None
