"""What was asked of a workload, as readings and as what the detectors are given."""

from dataclasses import astuple
from typing import Final

from collectors.counters import Counts
from collectors.requests import Traffic as Read
from detectors.window import Route, Traffic
from probes.schema import Schema

MOST_ROUTES: Final = 64
"""Told of one window: those asked for most."""


class Asked:
    """Joins requests by route and client with the counts beside them.

    Args:
        schema: Of the loaded object.
    """

    def __init__(self, schema: Schema) -> None:
        """Look the counters up once."""
        counters = schema.enum("counter")
        self._unasked, self._tls = counters["COUNT_UNASKED_BYTES"], counters["COUNT_TLS"]
        self._read: set[int] = set()

    def readings(self, counts: Counts, number: int, length_s: float) -> dict[str, float]:
        """One workload's readings by the names of `detectors.features`; what is unknown is absent.

        A server of which none was ever read (it may speak TLS) is not one that is asked 0 times.
        """
        found = {
            "bytes_out_unasked": int(counts.totals[number, self._unasked]) / length_s,
            "tls_connections": int(counts.totals[number, self._tls]) / length_s,
        }
        read = counts.traffic.get(number)
        if read is not None:
            self._read.add(number)
            return found | _readings(read, length_s)
        return found | (
            {"requests": 0.0, "requests_under_way": 0.0} if number in self._read else {}
        )

    def traffic(self, counts: Counts, number: int, length_s: float) -> Traffic | None:
        """What the detectors are given; None if nothing was asked."""
        unasked = int(counts.totals[number, self._unasked])
        read = counts.traffic.get(number)
        if read is None:
            return Traffic(length_s, unasked_bytes=unasked) if unasked else None
        routes = tuple(Route(*astuple(one)) for one in read.routes[:MOST_ROUTES])
        if not read.clients:
            return Traffic(length_s, routes, unasked_bytes=unasked)
        most = read.clients[0]
        return Traffic(length_s, routes, most.address, most.requests, most.inputs, unasked)


def _readings(read: Read, length_s: float) -> dict[str, float]:
    requests, answered = read.total("requests"), read.total("answered")
    maybe = {
        "request_size": read.total("bytes_in") / requests if requests else None,
        "answer_size": read.total("bytes_out") / answered if answered else None,
        "answer_wait_p50": read.wait_ms(0.5),
        "answer_wait_p99": read.wait_ms(0.99),
        "answer_gap_p50": read.gap_ms(0.5),
    }
    sure = {
        "requests": requests / length_s,
        "request_errors": read.total("errors") / length_s,
        "request_refusals": read.total("refusals") / length_s,
        "requests_unanswered": read.unanswered / length_s,
        "requests_under_way": float(read.under_way),
        "clients": float(read.client_count),
        "client_requests": max((c.requests for c in read.clients), default=0) / length_s,
        "client_inputs": float(max((c.inputs for c in read.clients[:1]), default=0)),
    }
    return sure | {name: value for name, value in maybe.items() if value is not None}
