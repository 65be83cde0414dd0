"""`agent status`: what it shows, its exit codes, and that it loads next to nothing."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.control import ControlServer

Run = Callable[..., Any]

STATUS: dict[str, Any] = {
    "health": "healthy",
    "reasons": [],
    "tier": "trace",
    "version": "0.1.0",
    "abi": 1,
    "host": "h1",
    "uptime_s": 3720.0,
    "workloads": [
        {
            "name": "embedder",
            "engine": "onnxruntime",
            "why": ["maps libonnxruntime.so"],
            "state": "learning",
            "pids": [10, 11],
            "progress": {
                "windows": 40,
                "min_windows": 300,
                "quiet_s": 5.0,
                "quiet_needed_s": 120.0,
                "shadow_s": 0.0,
                "shadow_needed_s": 300.0,
            },
            "coverage": None,
            "verdicts": {"low": 2, "critical": 1},
            "nominal_false_alarms_per_month": 1.0,
            "realised_false_alarms_per_month": None,
            "loss": 0,
        }
    ],
    "sensors": {"ring": {"events": 1234, "lost": 0}},
    "losses": {"ring_full": 0},
    "overhead": {"cpu_percent": 0.83, "rss_bytes": 96_468_992, "status": "within budget"},
    "outbox": {"pending": 0, "bytes": 0},
    "containments": [],
    "gpu": {"state": "no GPU on this host"},
}


@pytest.fixture
def answers() -> dict[str, Any]:
    return {"status": STATUS.copy()}


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(("health", "code"), [("healthy", 0), ("degraded", 1), ("unhealthy", 2)])
def test_the_exit_code_is_the_health(
    agent: Run,
    config: Path,
    answers: dict[str, Any],
    health: str,
    code: int,
) -> None:
    answers["status"] |= {"health": health, "reasons": ["central does not answer"]}
    outcome = agent("status", "--config", config)
    assert outcome.code == code
    assert f"h1: {health}" in outcome.out
    assert "- central does not answer" in outcome.out


def test_no_running_agent_is_exit_code_3_and_one_sentence(agent: Run, config: Path) -> None:
    outcome = agent("status", "--config", config)
    assert outcome.code == 3
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert "agent run" in outcome.err


def test_json_is_what_the_agent_said(agent: Run, config: Path, running: ControlServer) -> None:
    assert agent("status", "--json", "--config", config).json == STATUS


def test_people_read_progress_losses_and_cost(
    agent: Run, config: Path, running: ControlServer
) -> None:
    out = agent("status", "--config", config).out
    assert "up 1 h 2 min" in out
    assert "40 of 300, 5 of 120 s quiet" in out
    assert "low 2, critical 1" in out
    assert "- of 1/month" in out
    assert "cpu 0.8 %, rss 92.0 MiB, status within budget" in out
    assert "state no GPU on this host" in out


@pytest.mark.usefixtures("running")
def test_garbage_on_the_control_socket_is_shown_once_there_is_some(
    agent: Run, config: Path, answers: dict[str, Any]
) -> None:
    answers["status"] |= {"control": {"garbage": 0, "refused": 0}, "outbox": {}}
    out = agent("status", "--config", config).out
    assert "control socket" not in out
    assert "nothing is sent: no central is configured" in out
    answers["status"]["control"]["garbage"] = 2
    assert "garbage 2" in agent("status", "--config", config).out


def test_no_colour_off_a_terminal(agent: Run, config: Path, running: ControlServer) -> None:
    assert "\x1b" not in agent("status", "--config", config).out


def test_a_status_of_an_idle_agent_says_how_to_watch(
    agent: Run, config: Path, running: ControlServer, answers: dict[str, Any]
) -> None:
    answers["status"]["workloads"] = []
    assert "agent watch --name NAME" in agent("status", "--config", config).out


@pytest.mark.parametrize("arguments", [["status"], ["status", "--json"]])
def test_status_loads_nothing_heavy(
    config: Path, running: ControlServer, arguments: list[str]
) -> None:
    heavy = ("numpy", "sklearn", "rich", "zmq", "chdb", "psutil", "collectors", "detectors")
    script = (
        "import sys\nfrom agent.main import main\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    code = ended.code\n"
        f"print(code, [name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments, "--config", str(config)],
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "0 []\n"
