"""The probes, loaded once for all that look through them, under pins of their own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.loader import Sensor, remove
from tests.host.eyes import Eyes

PINS = Path(f"/sys/fs/bpf/inferward-test-{os.getpid()}")


@pytest.fixture(scope="module")  # each deed takes a workload's number, and there are 255
def eyes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Eyes]:
    try:
        sensor = Sensor.open(PINS)
        yield Eyes(sensor, tmp_path_factory.mktemp("eyes"))
        sensor.close()
    finally:
        remove(PINS)


@pytest.fixture
def own_pins() -> Iterator[Path]:
    """For a test that loads and removes the probes itself."""
    pins = PINS.with_name(f"{PINS.name}-own")
    try:
        yield pins
    finally:
        remove(pins)
