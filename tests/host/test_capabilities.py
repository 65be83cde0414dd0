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


def _capabilities() -> str:
    found = re.search(r"^CapabilityBoundingSet=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert found is not None
    return ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in found[1].split())


def _opened(pins: Path, path: Path = OBJECT) -> str:
    limits = ("setpriv", f"--bounding-set=-all,{_capabilities()}", "--inh-caps=-all")
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
