"""A recording made live gives the daemon's own verdicts again, with no daemon and no kernel."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from agent.control import request
from agent.drills.rig import Rig
from agent.errors import NotRunningError
from agent.recording.replay import Replay
from agent.store import Store
from probes.loader import remove

CONFIG = """
[agent]
host = "h1"
[paths]
state = "{at}/state"
run = "{at}/run"
pins = "{pins}"
[window]
length_s = 0.25
[learning]
min_windows = 24
quiet_s = 3
shadow_s = 3
[budget]
cpu_percent = 100.0
"""
HOST_ONLY = ("process", "records", "response", "stack", "window")  # losses by reason are the host's
START_S = 20.0
LEARN_S = 60.0


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    pins = Path("/sys/fs/bpf") / f"inferward-test-recording-{os.getpid()}"
    config = tmp_path / "agent.toml"
    config.write_text(CONFIG.format(at=tmp_path, pins=pins))
    line = [sys.executable, "-m", "agent.main", "run", "--config", str(config)]
    with ExitStack() as stack:
        log = stack.enter_context((tmp_path / "log").open("wb"))
        daemon = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        stack.callback(remove, pins)
        stack.callback(daemon.wait)
        stack.callback(daemon.send_signal, signal.SIGTERM)
        deadline = time.monotonic() + START_S
        while not answers(tmp_path / "run"):
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.1)
        yield tmp_path


def answers(run_dir: Path) -> bool:
    try:
        request(run_dir, "status")
    except NotRunningError:
        return False
    return True


def shared(verdicts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in one.items() if k not in HOST_ONLY} for one in verdicts]


def test_a_replay_gives_the_verdicts_of_the_live_daemon(home: Path) -> None:
    recording = home / "recording"
    with Rig(home / "run", lambda _: None) as rig:
        rig.learn(LEARN_S)
        request(home / "run", "record_start", path=str(recording), for_s=60.0)
        began_ns = time.time_ns()
        for act in ("shell", "hub-token", "lazy-imports", "writable-code"):
            assert not rig.act(act, 0)
            time.sleep(0.6)
        written = request(home / "run", "record_stop")
        with Store.read(home / "state" / "events.db") as store:
            live = store.verdicts(began_ns, rig.name)
    again = [one for one in Replay(recording).verdicts() if one["workload"] == rig.name]
    assert not written["lost"]
    assert {one["level"] for one in live} >= {"critical"}
    assert [one["id"] for one in again] == [one["id"] for one in live]
    assert shared(again) == shared(live)
