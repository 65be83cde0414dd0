"""What the agent asks of the kernel for each workload: stacks, while it guards; sketches."""

from dataclasses import dataclass, field

import numpy as np

from detectors.assessment import BaselineState
from probes.loader import Sensor

Entry = np.ndarray[tuple[int], np.dtype[np.void]]


@dataclass(frozen=True, slots=True)
class Tap:
    """What of a workload's requests becomes part of a sketch.

    Attributes:
        prefix_bytes: Of each body.
        salt: 16 bytes, which only this host knows.
    """

    prefix_bytes: int
    salt: bytes = field(repr=False)


class Modes:
    """Writes the map only when something changes."""

    def __init__(self, sensor: Sensor) -> None:
        """Take the map and its layout; what an earlier agent asked for holds until told."""
        self._map = sensor.maps["modes"]
        self._entry = sensor.schema.dtype("workload_mode")
        self._stacks = sensor.schema.enum("mode_flag")["MODE_STACKS"]
        self._told: dict[int, tuple[bool, Tap | None]] = {}
        self._taps: dict[int, Tap] = {}

    def follow(self, number: int, state: BaselineState) -> None:
        """Ask for stacks of a workload that guards, and of no other."""
        wanted = (state is BaselineState.GUARDING, self._taps.get(number))
        if self._told.get(number) == wanted:
            return
        entry = np.zeros(1, self._entry)
        entry["flags"] = self._stacks if wanted[0] else 0
        self._write(number, entry, wanted[1])
        self._told[number] = wanted

    def tap(self, number: int, tap: Tap | None) -> None:
        """Ask for sketches of a workload from now on, or for none."""
        if tap is None:
            self._taps.pop(number, None)
        else:
            self._taps[number] = tap
        raw = self._map.get(number.to_bytes(4, "little")) or bytes(self._entry.itemsize)
        self._write(number, np.frombuffer(raw, self._entry).copy(), tap)
        if number in self._told:
            self._told[number] = (self._told[number][0], tap)

    def untap(self) -> list[int]:
        """Have nothing tapped any more, whoever asked for it; returns which workloads were."""
        keys, values = self._map.items()
        entries = np.ascontiguousarray(values).view(self._entry).ravel()
        tapped = [
            int.from_bytes(key.tobytes(), "little")
            for key, entry in zip(keys, entries, strict=True)
            if entry["tap_bytes"]
        ]
        for number in tapped:
            self.tap(number, None)
        return tapped

    def _write(self, number: int, entry: Entry, tap: Tap | None) -> None:
        entry["tap_bytes"] = 0 if tap is None else tap.prefix_bytes
        entry["salt"] = 0 if tap is None else np.frombuffer(tap.salt, "<u8")
        self._map.set(number.to_bytes(4, "little"), entry.tobytes())
