"""Connects that nobody answers are told once a peer, with their error, however late they fail."""

import errno
import socket
import time
from collections.abc import Iterator

import pytest

from collectors.sightings import Sighting
from tests.host import nets
from tests.host.eyes import Eyes, Seen

BLOCKING = """
import socket
gate()
for _ in range(int(sys.argv[3])):
    with socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET) as s:
        try: s.connect((sys.argv[1], int(sys.argv[2])))
        except OSError: pass
"""
PATIENT = """
import select, socket
gate()
s = socket.socket()
s.setblocking(False)
s.connect_ex((sys.argv[1], int(sys.argv[2])))
select.select([], [s], [], 10)
s.close()
"""
HASTY = """
import socket
gate()
s = socket.socket()
s.setblocking(False)
s.connect_ex((sys.argv[1], int(sys.argv[2])))
s.close()
"""
SWEEP = """
import socket
gate()
for port in range(int(sys.argv[1]), int(sys.argv[1]) + 20):
    with socket.socket() as s: s.connect_ex(("127.0.0.1", port))
"""


@pytest.fixture(scope="module")
def cable() -> Iterator[tuple[str, str]]:
    if why := nets.missing():
        pytest.skip(why)
    with nets.cable() as ends:
        yield ends


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def run(eyes: Eyes, script: str, *words: str | int, inside: str = "") -> Seen:
    with eyes.python(script, *words, inside=inside) as gated:
        gated.tell()
        gated.end()
    return eyes.seen(gated.number)


def refusals(seen: Seen) -> list[Sighting]:
    return [s for s in seen.sightings if s.kind == "refused"]


@pytest.mark.parametrize(
    ("host", "told"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("::ffff:127.0.0.1", "127.0.0.1")],
)
def test_a_closed_port_tried_5_times_is_told_once_and_counted_5_times(
    eyes: Eyes, host: str, told: str
) -> None:
    port = closed_port()
    seen = run(eyes, BLOCKING, host, port, 5)
    (refusal,) = refusals(seen)
    assert (refusal.item, refusal.status[0]) == (f"tcp {told}:{port}", errno.ECONNREFUSED)
    assert refusal.marks == {"econnrefused"}
    assert seen.totals["COUNT_REFUSED"] == 5


def test_a_connect_that_fails_later_belongs_to_whoever_began_it(
    eyes: Eyes, cable: tuple[str, str]
) -> None:
    with eyes.python(PATIENT, nets.ABSENT_V4, 81, inside=cable[0]) as gated:
        gated.tell()
        gated.end()
    (refusal,) = refusals(eyes.seen(gated.number))
    assert refusal.item == f"tcp {nets.ABSENT_V4}:81"
    assert refusal.status[0] == errno.EHOSTUNREACH
    assert (refusal.pid, refusal.workload) == (gated.pid, gated.number)


def test_a_network_without_a_route_is_told_though_no_segment_was_sent(
    eyes: Eyes, cable: tuple[str, str]
) -> None:
    seen = run(eyes, BLOCKING, nets.NOWHERE_V4, 443, 3, inside=cable[0])
    (refusal,) = refusals(seen)
    assert refusal.item == f"tcp {nets.NOWHERE_V4}:443"
    assert refusal.marks == {"ehostunreach"}
    assert seen.totals["COUNT_REFUSED"] == 3


def test_whoever_stops_waiting_was_not_answered_either(eyes: Eyes, cable: tuple[str, str]) -> None:
    (refusal,) = refusals(run(eyes, HASTY, nets.ABSENT_V4, 82, inside=cable[0]))
    assert refusal.item == f"tcp {nets.ABSENT_V4}:82"
    assert refusal.marks == {"given-up"}


def test_a_sweep_over_20_ports_is_20_refusals(eyes: Eyes) -> None:
    seen = run(eyes, SWEEP, 20011)
    assert len(refusals(seen)) == 20
    assert seen.totals["COUNT_REFUSED"] == 20


def test_an_answered_connect_is_no_refusal(eyes: Eyes) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=8) as listener:
        seen = run(eyes, BLOCKING, "127.0.0.1", listener.getsockname()[1], 3)
    assert not refusals(seen)
    assert seen.totals["COUNT_REFUSED"] == 0


def test_a_refused_metadata_address_is_told_with_its_address(
    eyes: Eyes, cable: tuple[str, str]
) -> None:
    for address in ("169.254.169.254", "fd00:ec2::254", "::ffff:169.254.170.2"):
        seen = run(eyes, BLOCKING, address, 81, 1, inside=cable[0])
        (refusal,) = refusals(seen)
        assert refusal.item.endswith((f" {address.removeprefix('::ffff:')}:81", f"[{address}]:81"))


def test_what_we_refuse_ourselves_is_denied_and_not_refused(eyes: Eyes) -> None:
    with eyes.python(BLOCKING, "127.0.0.1", closed_port(), 2) as gated:
        eyes.contain(gated.number, "CONTAIN_NETWORK")
        gated.tell()
        gated.end()
    time.sleep(0.05)
    seen = eyes.seen(gated.number)
    assert not refusals(seen)
    assert (seen.totals["COUNT_DENIED"], seen.totals["COUNT_REFUSED"]) == (2, 0)
