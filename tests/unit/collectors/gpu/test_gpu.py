"""GPU facts through the real nvidia-ml-py, over a driver library built here with known readings.

Each reading runs in a process of its own: a library once loaded stays.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from collectors.gpu import GpuState
from collectors.gpu_holders import holders, registered
from collectors.procfs import ReadCounts

# The `host` fixture lives in the conftest above, which is no module to import from.
Host = Any

HERE = Path(__file__).parent
# /dev/null and /dev/zero (major 1), /dev/ptmx (major 5) stand in for device files of a driver.
DEVICES = (
    "Character devices:\n  1 nvidia\n  5 nvidia-uvm\n 10 misc\n\nBlock devices:\n  1 ramdisk\n"
)
GPU3, GPU5, UVM = "/dev/null", "/dev/zero", "/dev/ptmx"


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that holds libnvidia-ml.so.1."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build the test driver with")
    directory = tmp_path_factory.mktemp("driver")
    library = directory / "libnvidia-ml.so.1"
    source = HERE / "fake_nvml.c"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source], check=True
    )
    return directory


def look(proc: Path, *modes: str, driver: Path | None = None) -> dict[str, Any]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(HERE.parents[3]),
        **({"LD_LIBRARY_PATH": str(driver)} if driver else {}),
    }
    command = [sys.executable, "-W", "error", str(HERE / "look.py"), str(proc), *modes]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="session")
def readings(driver: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is read in each mode of the test driver, on a host without processes."""
    modes = ("well", "old", "unloaded", "empty", "lost", "denied")
    return look(tmp_path_factory.mktemp("proc"), *modes, driver=driver)


def test_readings_are_those_of_the_driver(readings: dict[str, Any]) -> None:
    reading = readings["well"]
    first, second = reading["devices"]
    assert reading["state"] == "ready"
    assert (first["name"], first["uuid"]) == ("Fake GPU", "GPU-0")
    assert (first["memory_used_bytes"], first["memory_total_bytes"]) == (1 << 30, 80 << 30)
    assert first["percent"] == 37.0
    assert (first["clock_mhz"], first["clock_limit_mhz"]) == (1410, 1980)
    assert (second["clock_mhz"], second["clock_limit_mhz"]) == (None, None)
    assert first["processes"] == [
        {"pid": 100, "memory_bytes": 7919},
        {"pid": 200, "memory_bytes": 104729},
    ]
    assert (first["mig"], second["mig"]) == (False, True)
    assert second["percent"] is None
    assert reading["failed"] == 0


def test_processes_of_an_instance_are_the_gpus(readings: dict[str, Any]) -> None:
    _, second = readings["well"]["devices"]
    assert second["processes"] == [{"pid": 400, "memory_bytes": 1299709}]


def test_errors_are_told_by_their_numbers_and_memory_that_was_not_corrected(
    readings: dict[str, Any],
) -> None:
    first, second = readings["well"]["devices"]
    assert (first["xids"], second["xids"]) == ([79, 31], [])
    assert (first["ecc_errors"], second["ecc_errors"]) == (5, None)


def test_a_driver_without_events_tells_no_errors(readings: dict[str, Any]) -> None:
    assert [device["xids"] for device in readings["old"]["devices"]] == [[], []]


def test_a_workload_gets_the_memory_of_its_own_processes(readings: dict[str, Any]) -> None:
    assert readings["well"]["of"] == {
        "[100]": {"gpu_memory_bytes": 7919.0, "gpu_percent": 37.0},
        "[100, 200, 300]": {"gpu_memory_bytes": 112648.0, "gpu_percent": 37.0},
        "[300]": {"gpu_memory_bytes": 0.0, "gpu_percent": 0.0},
    }


def test_an_old_driver_is_asked_the_old_way(readings: dict[str, Any]) -> None:
    assert readings["old"]["of"]["[100]"]["gpu_memory_bytes"] == 7919.0


@pytest.mark.parametrize(
    ("mode", "state", "words"),
    [
        ("unloaded", "absent", "kernel driver is not loaded"),
        ("empty", "absent", "no GPU"),
        ("lost", "failed", "GPU is lost"),
        ("denied", "failed", "Insufficient Permissions"),
    ],
)
def test_what_goes_wrong_is_a_state_with_words(
    mode: str, state: str, words: str, readings: dict[str, Any]
) -> None:
    reading = readings[mode]
    assert reading["state"] == state
    assert words in reading["words"]
    assert not any(reading["of"].values())


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="this host has a driver")
def test_without_a_driver_the_gpu_is_absent(host: Host) -> None:
    reading = look(host.root, "")[""]
    assert reading["state"] == "absent"
    assert "libnvidia-ml.so.1 is not on this host" in reading["words"]
    assert not any(reading["of"].values())


def test_holders_are_found_by_device_number(host: Host) -> None:
    (host.root / "devices").write_text(DEVICES)
    host.add(100, ["a"], files=[GPU3, UVM, "/etc/passwd", "pipe:[7]"])
    host.add(101, ["b"], files=[GPU5])
    host.add(102, ["c"], files=["/etc/passwd"])
    found = {holder.pid: holder for holder in holders(host.table())}
    assert found.keys() == {100, 101}
    assert found[100].devices == ("nvidia-uvm", "nvidia3")
    assert found[100].computes
    assert found[101].devices == ("nvidia5",)
    assert not found[101].computes


def test_devices_of_every_makers_gpu_are_known_by_their_drivers(host: Host) -> None:
    listed = "195 nvidia-frontend\n226 drm\n234 kfd\n261 accel\n505 nvidia-uvm\n  5 /dev/tty\n"
    (host.root / "devices").write_text(f"Character devices:\n{listed}\nBlock devices:\n226 drm2\n")
    found = registered(ReadCounts(), str(host.root))
    assert found == {
        195: "nvidia-frontend", 226: "drm", 234: "kfd", 261: "accel", 505: "nvidia-uvm"
    }  # fmt: skip


def test_where_no_table_of_devices_is_there_are_none_and_that_is_counted(tmp_path: Path) -> None:
    counts = ReadCounts()
    assert registered(counts, str(tmp_path)) == {}
    assert counts != ReadCounts()


def test_without_registered_devices_nobody_is_looked_at(host: Host) -> None:
    host.add(100, ["a"], files=[GPU3])
    table = host.table()
    assert holders(table) == ()
    assert "open_files" not in vars(table.processes[100])


def test_disagreement_of_driver_and_kernel_is_a_fact(host: Host, driver: Path) -> None:
    (host.root / "devices").write_text(DEVICES)
    host.add(100, ["listed"], files=[GPU3, UVM])
    host.add(300, ["unlisted"], files=[GPU3, UVM])
    host.add(301, ["watches"], files=[GPU3])
    reading = look(host.root, "well", driver=driver)["well"]
    assert reading["mismatches"] == [
        {"pid": 300, "kind": "unlisted"},
        {"pid": 200, "kind": "unheld"},
        {"pid": 400, "kind": "unheld"},
    ]


def test_states_are_words_on_the_wire() -> None:
    assert [str(state) for state in GpuState] == ["ready", "absent", "failed"]
