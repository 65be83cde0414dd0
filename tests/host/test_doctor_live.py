"""The doctor does one of everything without a daemon, and leaves nothing behind."""

import json
from pathlib import Path

import pytest

from agent.daemon.eyes import EYES
from tests.host.daemons import Daemon

pytestmark = pytest.mark.timeout(120)


def test_without_a_daemon_every_eye_sees_through_probes_that_are_gone_again() -> None:
    daemon = Daemon()
    try:
        daemon.configure()
        answer = daemon.command("doctor", "--live", "--json")
        told = {f["name"]: f for f in json.loads(answer.stdout)["findings"]}
        assert told["live"]["state"] == "ok"
        shut = [
            told[f"live: {eye.name}"] for eye in EYES if told[f"live: {eye.name}"]["state"] != "ok"
        ]
        assert shut == []
        assert not list(Path("/sys/fs/bpf").glob(f"{daemon.at.name}*"))
        assert not list(Path("/tmp").glob("inferward-self-test-*"))
    finally:
        daemon.close()


def test_with_a_daemon_every_eye_sees_and_nobody_is_watched_after_it() -> None:
    daemon = Daemon()
    try:
        daemon.configure().start()
        before = {one["name"] for one in daemon.status()["workloads"]}  # this host's own
        told = {f["name"]: f for f in daemon.ask("doctor_live", timeout_s=60.0)}
        assert {f["state"] for f in told.values()} == {"ok"}, told
        assert {one["name"] for one in daemon.status()["workloads"]} <= before
    finally:
        daemon.close()
