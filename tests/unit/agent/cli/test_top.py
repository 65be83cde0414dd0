"""`agent top`: one snapshot or many, in place on a terminal, and its end."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.control import ControlServer
from tests.unit.agent.cli.test_status import STATUS

Run = Callable[..., Any]

READINGS = {
    "requests": 103.0,
    "answer_wait_p50": 4.2,
    "answer_wait_p99": 31.0,
    "request_errors": 0.0,
    "bytes_out": 2048.0,
    "cpu_percent": 12.5,
    "rss_bytes": 2097152.0,
    "gpu_calls": 23.0,
}
LAST = {"id": "01J", "level": "high", "time_ns": 1, "summary": "embedder ran /bin/sh."}


@pytest.fixture
def answers() -> dict[str, Any]:
    mine = STATUS["workloads"][0] | {"readings": READINGS, "last_verdict": LAST}
    return {"status": STATUS | {"workloads": [mine], "losses": {"ring_full": 3}}}


def line(config: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "agent.main", "top", "--config", str(config), *more]


def test_one_snapshot_shows_every_workload(
    agent: Run, config: Path, running: ControlServer
) -> None:
    outcome = agent("top", "--once", "--config", config)
    assert outcome.code == 0
    for words in (
        "embedder",
        "learning",
        "103",
        "4.2 ms",
        "31 ms",
        "2.0 KiB/s",
        "12.5 %",
        "GPU CALLS/S",
        "23",
    ):
        assert words in outcome.out
    assert "high: embedder ran /bin/sh." in outcome.out
    assert "ring full 3" in outcome.out
    assert "\x1b" not in outcome.out


def test_what_is_no_terminal_gets_one_snapshot(
    agent: Run, config: Path, running: ControlServer
) -> None:
    assert agent("top", "--config", config).out.count("WORKLOAD") == 1


def test_json_is_one_document_a_line_and_unread_is_null(
    agent: Run, config: Path, running: ControlServer
) -> None:
    shown = agent("top", "--once", "--json", "--config", config).json
    (mine,) = shown["workloads"]
    assert (mine["name"], mine["requests"], mine["gpu_percent"]) == ("embedder", 103.0, None)
    assert mine["last_verdict"] == LAST


def test_without_an_agent_it_ends_with_3(agent: Run, config: Path) -> None:
    assert agent("top", "--once", "--config", config).code == 3


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_a_terminal_is_redrawn_until_q(config: Path, running: ControlServer, term: str) -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": term}
    command = line(config, "--interval", "0.2")
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as top:
        os.close(theirs)
        shown, deadline = b"", time.monotonic() + 20
        while shown.count(b"WORKLOAD") < 2 and time.monotonic() < deadline:
            if select.select([ours], [], [], 0.5)[0]:
                shown += os.read(ours, 65536)
        os.write(ours, b"q")
        assert top.wait(timeout=10) == 0
    os.close(ours)
    assert shown.count(b"WORKLOAD") >= 2
    assert (b"\x1b[2J" in shown) is (term != "dumb")


def test_an_interrupt_is_a_clean_end(config: Path, running: ControlServer) -> None:
    command = line(config, "--json", "--interval", "0.2")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as top:
        assert top.stdout is not None
        assert top.stderr is not None
        assert top.stdout.readline()
        top.send_signal(2)
        assert top.wait(timeout=10) == 0
        assert top.stderr.read() == b""
