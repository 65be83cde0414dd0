"""The shipper's face to the daemon: it never waits, and says what is the matter."""

import time
from pathlib import Path

import pytest

from agent.keys import KeyFormError
from agent.ship.outbox import Outbox
from agent.ship.settings import ShipSettings
from agent.ship.shipper import Shipper

VERDICT = {"id": "1", "level": "high"}


def settings(path: Path, *, key: str = "") -> ShipSettings:
    endpoints = ("tcp://127.0.0.1:9",) if key else ()
    return ShipSettings(host="h1", endpoints=endpoints, central_key=key, outbox=path / "o.db")


def test_without_a_central_nothing_is_kept_and_nothing_is_wrong(tmp_path: Path) -> None:
    shipper = Shipper.start(settings(tmp_path), None)
    shipper.offer(VERDICT)
    assert shipper.flush(0.0)
    shipper.stop()
    assert (shipper.stats().queued, shipper.stats().problem) == (0, "")
    assert not (tmp_path / "o.db").exists()


def test_without_a_key_verdicts_wait_and_the_way_out_is_told(tmp_path: Path) -> None:
    key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
    shipper = Shipper.start(settings(tmp_path, key=key), None)
    before_s = time.perf_counter()
    for _ in range(100):
        shipper.offer(VERDICT)
    assert time.perf_counter() - before_s < 0.5
    assert shipper.flush(5.0)
    shipper.stop()
    assert "agent keys new host" in shipper.stats().problem
    outbox = Outbox.open(tmp_path / "o.db", max_bytes=1 << 20)
    assert len(outbox) == 100
    outbox.close()


def test_a_central_key_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(KeyFormError):
        Shipper.start(settings(tmp_path, key="no key"), None)


def test_what_is_no_verdict_is_the_callers_error(tmp_path: Path) -> None:
    shipper = Shipper.start(settings(tmp_path), None)
    with pytest.raises(ValueError, match="worst"):
        shipper.offer({"level": "worst"})
