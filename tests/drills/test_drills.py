"""All drills against the drills' own server, on demand: some ten minutes, root, this kernel.

pytest tests/drills
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.loader import remove

MINUTES = 25
CONFIG = """
[paths]
state = "{at}/state"
run = "{at}/run"
pins = "{pins}"
[window]
length_s = 0.5
[learning]
min_windows = 60
quiet_s = 8
shadow_s = 10
[budget]
cpu_percent = 50.0
"""


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    pins = Path("/sys/fs/bpf") / f"inferward-{tmp_path.parent.name}-drills"
    path = tmp_path / "agent.toml"
    path.write_text(CONFIG.format(at=tmp_path, pins=pins))
    line = [sys.executable, "-m", "agent.main", "run", "--config", str(path)]
    with (tmp_path / "log").open("wb") as log:
        daemon = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        time.sleep(5.0)  # `drill run` itself says when no agent answers
        yield path
    finally:
        daemon.terminate()
        daemon.wait()
        remove(pins)


@pytest.mark.timeout(MINUTES * 60)
def test_lookalikes_stay_quiet_and_most_attacks_are_caught(config: Path) -> None:
    line = [sys.executable, "-m", "agent.main", "drill", "run", "--json", "--config", str(config)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    drills = json.loads(done.stdout)["drills"]
    alarms = [d for d in drills if d["behaviour"] == "look-alike" and not d["as_expected"]]
    attacks = [d for d in drills if d["behaviour"] != "look-alike"]
    assert not alarms
    assert sum(d["as_expected"] for d in attacks) >= 0.9 * len(attacks), [
        (d["name"], d["level"], d["told"]) for d in attacks if not d["as_expected"]
    ]
