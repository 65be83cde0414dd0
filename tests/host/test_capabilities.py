"""With the capabilities of the packaged unit, and no more, the probes load and resume."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from probes.holding import LINKS
from probes.loader import OBJECT
from tests.host.daemons import ROOT

UNIT: Final = ROOT / "packaging/systemd/inferward.service"
OPEN: Final = """
import sys
from pathlib import Path
from probes.loader import Sensor
sensor = Sensor.open(Path(sys.argv[1]), Path(sys.argv[2]))
sensor.adopt()
print("resumed" if sensor.resumed else "loaded", *sensor.notes, *sensor.damage)
sensor.close()
"""


def granted() -> str:
    """The unit's capabilities, in setpriv's words."""
    found = re.search(r"^CapabilityBoundingSet=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert found is not None
    return ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in found[1].split())


NUMBERS: Final = {
    "dac_read_search": 2, "sys_ptrace": 19, "perfmon": 38, "bpf": 39, "checkpoint_restore": 40,
}  # fmt: skip
"""From include/uapi/linux/capability.h."""

WATCH = """
import os, signal, sys, threading, time
from pathlib import Path
import numpy as np
from agent.confined import PROBE, SEE, confined
from agent.daemon.fitting import _fit
from agent.daemon.readers import Reading
from agent.evidence import Bounds
from agent.evidence.bundle import Bundle
from agent.evidence.gather import gather
from agent.operator.runner import Worker
from agent.response.processes import children, read_process
from detectors.resources import FEATURES
held = {}
def look():
    while True:
        for pid in children(os.getpid()):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\\0")
                text = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            name = next((w for w in words if w.startswith("agent.")), Path(words[0]).name)
            own = name.startswith("agent.") and "python" in words[0]
            if not own and name not in {"zstd", "gzip"}:
                continue  # what starts it, and the agent's own trial of that
            for line in text.splitlines():
                if line.startswith("CapPrm:"):
                    held[name] = int(line.split()[1], 16)
        time.sleep(0.002)
threading.Thread(target=look, daemon=True).start()
at = Path(sys.argv[1])
(at / "model.bin").write_bytes(bytes(1 << 20))
list(gather([read_process(os.getpid()).id], Bounds()))
_fit(np.random.default_rng(1).normal(size=(256, len(FEATURES))))
reading, done = Reading(), threading.Event()
reading.ask("digest", at / "model.bin", lambda found: done.set())
assert done.wait(30)
with Bundle(at / "evidence", "name", Bounds()) as bundle:
    time.sleep(0.2)
    bundle.seal({})
worker = Worker({}, lambda message: None, lambda act: act())
time.sleep(1.0)
worker.stop()
for name, mask in sorted(held.items()):
    print(name, mask)
"""


def test_workers_hold_nothing_or_what_their_work_takes(tmp_path: Path) -> None:
    limits = ("setpriv", f"--bounding-set=-all,{granted()}", "--inh-caps=-all")
    done = subprocess.run(
        [*limits, sys.executable, "-c", WATCH, tmp_path],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = (line.split() for line in done.stdout.splitlines())
    held = {name: int(mask) for name, mask in rows}
    packer = held.pop("zstd", None) or held.pop("gzip", 0)
    see = sum(1 << NUMBERS[name] for name in ("dac_read_search", "sys_ptrace"))
    assert packer == 0
    assert held == {
        "agent.daemon.fit_worker": 0,
        "agent.evidence.reader": see | 1 << NUMBERS["checkpoint_restore"],
        "agent.models.reading": see,
        "agent.operator.worker": see | 1 << NUMBERS["perfmon"] | 1 << NUMBERS["bpf"],
    }


def _opened(pins: Path, path: Path = OBJECT) -> str:
    limits = ("setpriv", f"--bounding-set=-all,{granted()}", "--inh-caps=-all")
    done = subprocess.run(
        [*limits, sys.executable, "-c", OPEN, pins, path],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_first_start_loads_and_the_next_resumes(own_pins: Path) -> None:
    assert [_opened(own_pins), _opened(own_pins)] == ["loaded", "resumed"]


def test_another_object_takes_over(own_pins: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.bpf.o"
    changed.write_bytes(OBJECT.read_bytes() + b"\0")
    assert _opened(own_pins) == "loaded"
    assert _opened(own_pins, changed) == "loaded"
    assert _opened(own_pins, changed) == "resumed"


@pytest.mark.parametrize("program", ["on_exec", "on_connect4", "adopt_tasks"])
def test_a_link_that_was_taken_away_is_put_back(own_pins: Path, program: str) -> None:
    assert _opened(own_pins) == "loaded"
    (own_pins / LINKS / program).unlink()
    assert _opened(own_pins).startswith("loaded")
    assert _opened(own_pins) == "resumed"
