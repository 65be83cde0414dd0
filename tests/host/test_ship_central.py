"""Shipping to central as it is: two processes, CURVE over loopback, chDB on disk, and kill -9."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from agent.central import SOCKET_NAME, CentralNotRunningError, QuestionError, ask
from agent.keys import KeyStore
from agent.ship.curve import new_pair
from agent.ship.settings import ShipSettings
from agent.ship.shipper import Shipper
from agent.verdict_id import verdict_id

if find_spec("chdb") is None:
    pytest.skip("chdb is not installed: no central can run here", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]

SERVE = """
import sys
from pathlib import Path
from agent.central import CentralSettings, serve
state, bind = Path(sys.argv[1]), sys.argv[2]
serve(CentralSettings(bind=bind, store=state / "central", run=state, keys=state / "keys",
                      silent_after_s=2.0, stuck_after_s=8.0))
"""

OFFER = """
import json, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[5])
from agent.keys import KeyStore
from agent.ship.settings import ShipSettings
from agent.ship.shipper import Shipper
state, bind, central_key, first = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
verdicts = json.loads((state / "offered.json").read_text())
shipper = Shipper.start(ShipSettings(host="h1", endpoints=(bind,), central_key=central_key,
    outbox=state / "outbox.db", heartbeat_s=0.2, ack_timeout_s=1.0),
    KeyStore(state / "keys").pair("host"))
for number in range(first, len(verdicts)):
    shipper.offer(verdicts[number])
    if number % 10 == 9:
        assert shipper.flush(60.0)  # central may be killed, hang, end itself and start meanwhile
        print(number + 1, flush=True)
while shipper.stats().queued:
    time.sleep(0.05)
shipper.stop()
print("done", flush=True)
"""


def verdict(number: int, host: str = "h1") -> dict[str, Any]:
    time_ns = 1_790_000_000_000_000_000 + number * 1_000_000
    return {
        "id": verdict_id(time_ns, host, "embedder", number),
        "host": host,
        "time_ns": time_ns,
        "workload": "embedder",
        "engine": "generic",
        "level": ("low", "high", "critical")[number % 3],
        "score": None,
        "p_value": 0.001,
        "techniques": ["T1059"],
        "summary": f"'; DROP TABLE verdicts; -- {number}\n\\ \u2028",
    }


def wait_for(what: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.05)


@dataclass
class Fleet:
    """A central in its own process, and what is needed to speak to it."""

    state: Path
    port: int
    keys: KeyStore
    central_key: str
    processes: list["subprocess.Popen[str]"] = field(default_factory=list)
    shippers: list[Shipper] = field(default_factory=list)

    @property
    def bind(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    @property
    def socket(self) -> Path:
        return self.state / SOCKET_NAME

    def run(self, *arguments: str) -> "subprocess.Popen[str]":
        with (self.state / "stderr").open("a") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-c", *arguments],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        self.processes.append(process)
        return process

    def start_central(self) -> "subprocess.Popen[str]":
        process = self.run(SERVE, str(self.state), self.bind)
        wait_for(lambda: self.answers() or process.poll() is not None)
        return process

    def answers(self) -> bool:
        try:
            ask(self.socket, "status")
        except CentralNotRunningError:
            return False
        return True

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = ask(self.socket, "status")
        return found

    def verdicts(self, **arguments: object) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = ask(self.socket, "verdicts", **arguments)
        return found

    def host(self, name: str) -> dict[str, Any]:
        return next(host for host in ask(self.socket, "hosts") if host["host"] == name)

    def log(self) -> list[dict[str, Any]]:
        lines = (self.state / "stderr").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def ship(self, host: str = "h1", *, allow: bool = True, **settings: object) -> Shipper:
        pair = new_pair()
        if allow:
            self.keys.allow(host, pair.public)
        values: dict[str, Any] = {
            "host": host,
            "endpoints": (self.bind,),
            "central_key": self.central_key,
            "outbox": self.state / f"{host}.db",
            "heartbeat_s": 0.2,
            "ack_timeout_s": 1.0,
            **settings,
        }
        shipper = Shipper.start(ShipSettings(**values), pair)
        self.shippers.append(shipper)
        return shipper


@dataclass
class Keeper:
    """Starts central again whenever it ended, as a service manager does."""

    fleet: Fleet
    central: "subprocess.Popen[str]"
    _ended: threading.Event = field(default_factory=threading.Event)
    _starting: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Until `end`."""
        while not self._ended.wait(0.2):
            with self._starting:
                if self.central.poll() is not None:
                    self.central = self.fleet.start_central()

    def kill(self) -> None:
        """Kill central, but not while it starts."""
        with self._starting:
            self.central.kill()
            self.central.wait()

    def end(self) -> None:
        """Start it no more."""
        self._ended.set()


@contextmanager
def _kept(fleet: Fleet) -> Iterator[Keeper]:
    keeper = Keeper(fleet, fleet.start_central())
    # A daemon: a test that fails meanwhile must not keep the whole run from ending.
    thread = threading.Thread(target=keeper.run, daemon=True)
    thread.start()
    try:
        yield keeper
    finally:
        keeper.end()
        thread.join(30.0)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    keys = KeyStore(tmp_path / "keys")
    key = keys.new("central", "central").public
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = Fleet(tmp_path, port, keys, key)
    yield found
    for shipper in found.shippers:
        shipper.stop()
    for process in found.processes:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def test_a_verdict_arrives_as_it_was_and_is_acknowledged(fleet: Fleet) -> None:
    central = fleet.start_central()
    shipper = fleet.ship()
    shipper.report({"health": "healthy", "log_head": "00"})
    sent = [verdict(number) for number in range(3)]
    for one in sent:
        shipper.offer(one)
    wait_for(lambda: shipper.stats().acked == 3)
    assert fleet.verdicts() == sent
    assert fleet.verdicts(min_level="critical") == sent[2:]
    assert fleet.verdicts(workload="x' OR '1' = '1") == []
    assert fleet.verdicts(id_prefix=sent[1]["id"]) == [sent[1]]
    wait_for(lambda: fleet.host("h1")["summary"].get("health") == "healthy")
    host = fleet.host("h1")
    assert host["verdicts"] == {"low": 1, "high": 1, "critical": 1}
    assert (host["sequence"], host["missing"], host["silent"]) == (3, {}, False)
    stats = shipper.stats()
    assert (stats.connected, stats.queued, stats.garbage, stats.problem) == (True, 0, 0, "")
    assert (fleet.socket.stat().st_mode & 0o777) == 0o600
    central.send_signal(signal.SIGTERM)
    assert central.wait(10) == 0
    assert not fleet.socket.exists()


@pytest.mark.timeout(300)
def test_a_thousand_verdicts_are_stored_once_though_both_sides_are_killed(fleet: Fleet) -> None:
    fleet.keys.allow("h1", fleet.keys.new("host", "h1").public)
    offered = [verdict(number) for number in range(1_000)]
    (fleet.state / "offered.json").write_text(json.dumps(offered))
    with _kept(fleet) as keeper:
        first = 0
        for killed_at in (200, 600, None):
            host = fleet.run(
                OFFER, str(fleet.state), fleet.bind, fleet.central_key, str(first), str(ROOT)
            )
            assert host.stdout
            for line in host.stdout:
                if line == "done\n":
                    break
                first = int(line)
                if first in {300, 800}:
                    keeper.kill()
                if killed_at is not None and first >= killed_at:
                    os.kill(host.pid, signal.SIGKILL)
                    break
            host.wait()
        assert first == 1_000
        assert fleet.verdicts(limit=2_000) == offered
        assert sum(fleet.host("h1")["verdicts"].values()) == 1_000
        assert fleet.host("h1")["missing"] == {}
        keeper.kill()
        wait_for(fleet.answers, 60.0)
        assert len(fleet.verdicts(limit=2_000)) == 1_000


def test_a_key_that_is_not_allowed_gets_nothing_stored_and_says_why(fleet: Fleet) -> None:
    fleet.start_central()
    shipper = fleet.ship(allow=False, ack_timeout_s=0.5)
    shipper.offer(verdict(1))
    wait_for(lambda: "allowed" in shipper.stats().problem)
    assert fleet.verdicts() == []
    assert not shipper.stats().connected
    assert shipper.stats().queued == 1
    told = [line for line in fleet.log() if line["event"] == "central.key_refused"]
    assert len(told) == 1
    assert fleet.status()["strangers"] >= 1


def test_a_host_that_is_allowed_later_is_heard_and_once_revoked_no_more(fleet: Fleet) -> None:
    fleet.start_central()
    pair = new_pair()
    settings = ShipSettings(
        host="h2", endpoints=(fleet.bind,), central_key=fleet.central_key,
        outbox=fleet.state / "h2.db", heartbeat_s=0.2, ack_timeout_s=0.5,
    )  # fmt: skip
    shipper = Shipper.start(settings, pair)
    fleet.shippers.append(shipper)
    shipper.offer(verdict(1, "h2"))
    wait_for(lambda: shipper.stats().problem != "")
    fleet.keys.allow("h2", pair.public)
    wait_for(lambda: shipper.stats().acked == 1)
    fleet.keys.revoke("h2")
    shipper.offer(verdict(2, "h2"))
    wait_for(lambda: "no longer allowed" in shipper.stats().problem)
    assert fleet.verdicts() == [verdict(1, "h2")]


def test_a_host_cannot_speak_for_another(fleet: Fleet) -> None:
    fleet.start_central()
    fleet.ship("h1")
    pair = new_pair()
    fleet.keys.allow("h3", pair.public)
    settings = ShipSettings(
        host="h1", endpoints=(fleet.bind,), central_key=fleet.central_key,
        outbox=fleet.state / "h3.db", heartbeat_s=0.2, ack_timeout_s=0.5,
    )  # fmt: skip
    liar = Shipper.start(settings, pair)
    fleet.shippers.append(liar)
    liar.offer(verdict(1, "h1"))
    wait_for(lambda: "the host h3's" in liar.stats().problem)
    honest = fleet.ship("h4")
    honest.offer(verdict(1, "h1"))
    honest.offer(verdict(2, "h4"))
    wait_for(lambda: honest.stats().acked == 2)
    assert fleet.verdicts() == [verdict(2, "h4")]
    assert honest.stats().refused == 1
    assert fleet.host("h4")["missing"] == {"refused": 1}


def test_garbage_on_the_port_is_counted_told_once_and_hurts_nobody(fleet: Fleet) -> None:
    fleet.start_central()
    shipper = fleet.ship()
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", secrets.token_bytes(500), b"\xff" * 2_000, b"") * 5:
        with socket.create_connection(("127.0.0.1", fleet.port)) as stranger:
            stranger.sendall(garbage)
    shipper.offer(verdict(1))
    wait_for(lambda: shipper.stats().acked == 1)
    wait_for(lambda: fleet.status()["strangers"] >= 20)
    assert sum(line["event"] == "central.stranger" for line in fleet.log()) == 1
    assert fleet.verdicts() == [verdict(1)]


def test_garbage_from_an_allowed_host_is_counted_told_once_and_not_stored(fleet: Fleet) -> None:
    import zmq  # noqa: PLC0415 - this test plays a broken host

    fleet.start_central()
    pair = new_pair()
    fleet.keys.allow("h5", pair.public)
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.curve_publickey, dealer.curve_secretkey = pair.public.encode(), pair.secret.encode()
    dealer.curve_serverkey = fleet.central_key.encode()
    dealer.connect(fleet.bind)
    for garbage in (
        b"",
        b"\xc1",
        b"\x81" * 5_000,
        secrets.token_bytes(5_000),
        b"\xdf\xff\xff\xff\xff",
    ):
        dealer.send(garbage)
        dealer.send_multipart([garbage, garbage])
    wait_for(lambda: fleet.status()["garbage"] == 10)
    assert sum(line["event"] == "central.garbage" for line in fleet.log()) == 1
    dealer.close(0)
    context.term()


def test_verdicts_dropped_by_a_full_outbox_are_told_as_missing(fleet: Fleet) -> None:
    shipper = fleet.ship(outbox_bytes=20_000)
    for number in range(300):
        shipper.offer(verdict(number))
    assert shipper.flush(10.0)
    wait_for(lambda: shipper.stats().dropped["low"] > 0)
    dropped = shipper.stats().dropped
    assert dropped["critical"] == 0
    fleet.start_central()
    wait_for(lambda: shipper.stats().queued == 0)
    wait_for(lambda: fleet.host("h1")["dropped"] == dropped)
    stored = fleet.verdicts(limit=1_000)
    assert len(stored) + sum(dropped.values()) == 300
    last_stored = max(int(one["summary"].split()[5]) for one in stored)
    gaps = fleet.host("h1")["missing"]
    assert gaps == {"dropped": last_stored + 1 - len(stored)}
    assert (shipper.stats().queued, shipper.stats().dropped) == (0, dropped)


def test_a_second_endpoint_is_used_when_the_first_is_dead(fleet: Fleet) -> None:
    fleet.start_central()
    shipper = fleet.ship(endpoints=("tcp://127.0.0.1:9", fleet.bind), ack_timeout_s=0.3)
    shipper.offer(verdict(1))
    wait_for(lambda: shipper.stats().acked == 1)
    assert shipper.stats().central == fleet.bind


def test_a_host_that_falls_silent_is_told_of(fleet: Fleet) -> None:
    fleet.start_central()
    shipper = fleet.ship()
    wait_for(lambda: shipper.stats().connected)
    shipper.stop()
    wait_for(lambda: fleet.status()["hosts_silent"] == ["h1"])
    assert fleet.host("h1")["silent"]
    assert any(line["event"] == "central.host_silent" for line in fleet.log())


def test_a_second_central_is_refused_by_the_process_number_of_the_first(fleet: Fleet) -> None:
    first = fleet.start_central()
    second = fleet.run(SERVE, str(fleet.state), fleet.bind)
    assert second.wait(20) == 1
    words = (fleet.state / "stderr").read_text()
    assert f"Another central (process {first.pid})" in words
    assert fleet.answers()


def test_a_bad_question_is_answered_with_words(fleet: Fleet) -> None:
    with pytest.raises(CentralNotRunningError):
        ask(fleet.socket, "hosts")
    fleet.start_central()
    for question, arguments in (
        ("destroy", {}),
        ("hosts", {"x": 1}),
        ("verdicts", {"limit": -1}),
        ("verdicts", {"min_level": "x"}),
        ("verdicts", {"host": 5}),
        ("verdicts", {"sql": "x"}),
    ):
        with pytest.raises(QuestionError):
            ask(fleet.socket, question, **arguments)
    assert fleet.answers()
