"""Which files nobody but named programs may change: told to the kernel by inode, not by name.

Denies in the tier `guard` alone; elsewhere the lists lie idle.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from probes.loader import Sensor
from probes.maps import BpfMap
from probes.sensitive import kernel_device

FILE: Final = "PROTECT_FILE"
PLACE: Final = "PROTECT_PLACE"
MOST: Final = 16_000
"""Files and directories, some less than the kernel's room."""

_SYSTEMD: Final = (  # a unit's ReadOnlyPaths= and its like are mounts that systemd makes
    "/proc/1/exe", "/usr/lib/systemd/systemd-executor", "/lib/systemd/systemd-executor",
)  # fmt: skip

Number = tuple[int, int]
"""Device and inode, as stat names them."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Changes to one file that were denied. `time_ns` is CLOCK_MONOTONIC of the latest."""

    file: Number
    time_ns: int
    count: int
    pid: int
    comm: str


class Protection:
    """The kernel's lists, made equal to what is wanted."""

    def __init__(self, sensor: Sensor) -> None:
        """Take the maps; what a daemon before us wrote stays until the first `keep`."""
        self._files, self._programs = sensor.maps["protected_files"], sensor.maps["publishers"]
        self._refusals = sensor.maps["refusals"]
        self._key = sensor.schema.dtype("file_key")
        self._refusal = sensor.schema.dtype("refusal")
        kinds, rights = sensor.schema.enum("protection"), sensor.schema.enum("publisher")
        self._kinds = {name: _word(kinds[name]) for name in (FILE, PLACE)}
        self._publish, self._mount = rights["PUBLISH"], rights["PUBLISH_MOUNT"]
        self._known: dict[bytes, Number] = {}

    def keep(self, files: Mapping[Number, str], publishers: Iterable[str]) -> int:
        """Protect these files, FILE or PLACE each, from all but these programs.

        Returns:
            How many found no room.

        Raises:
            ProbeError: The kernel takes no more.
        """
        wanted = {self._bytes(number): number for number in list(files)[:MOST]}
        programs = {
            self._bytes(number): _word(right) for number, right in self._rights(publishers).items()
        }
        _make_equal(self._programs, programs)
        kinds = {key: self._kinds[files[number]] for key, number in wanted.items()}
        _make_equal(self._files, kinds)
        self._known = wanted
        return max(0, len(files) - MOST)

    def refused(self) -> list[Refusal]:
        """Return what was denied since the last call, and forget it."""
        keys, values = self._refusals.items()
        found = []
        for raw, value in zip(keys, values, strict=True):
            key, told = raw.tobytes(), np.frombuffer(value.tobytes(), self._refusal)[0]
            self._refusals.delete(key)
            number = self._known.get(key)
            if number is not None:
                comm = bytes(told["comm"]).partition(b"\0")[0].decode("utf-8", "backslashreplace")
                pid, count = int(told["pid"]), int(told["count"])
                found.append(Refusal(number, int(told["time_ns"]), count, pid, comm))
        return found

    def _rights(self, publishers: Iterable[str]) -> dict[Number, int]:
        found: dict[Number, int] = {}
        named = [(path, self._publish | self._mount) for path in publishers]
        for path, right in (*((path, self._mount) for path in _SYSTEMD), *named):
            try:
                here = os.stat(path)  # noqa: PTH116 (text in, numbers out)
            except OSError:
                continue  # not installed here, or not yet
            found[here.st_dev, here.st_ino] = found.get((here.st_dev, here.st_ino), 0) | right
        return found

    def _bytes(self, number: Number) -> bytes:
        key = np.zeros(1, self._key)
        key["dev"], key["ino"] = kernel_device(number[0]), number[1]
        return key.tobytes()


def _make_equal(kept: BpfMap, wanted: Mapping[bytes, bytes]) -> None:
    keys, values = kept.items()
    there = {key.tobytes(): value.tobytes() for key, value in zip(keys, values, strict=True)}
    for key in there.keys() - wanted.keys():
        kept.delete(key)
    for key, value in wanted.items():
        if there.get(key) != value:
            kept.set(key, value)


def _word(number: int) -> bytes:
    return number.to_bytes(4, "little")
