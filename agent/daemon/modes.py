"""What the agent asks of the kernel for each workload: stacks, while it guards."""

import numpy as np

from detectors.assessment import BaselineState
from probes.loader import Sensor


class Modes:
    """Writes the map only when something changes."""

    def __init__(self, sensor: Sensor) -> None:
        """Take the map and its layout; what an earlier agent asked for holds until told."""
        self._map = sensor.maps["modes"]
        self._entry = sensor.schema.dtype("workload_mode")
        self._stacks = sensor.schema.enum("mode_flag")["MODE_STACKS"]
        self._told: dict[int, bool] = {}

    def follow(self, number: int, state: BaselineState) -> None:
        """Ask for stacks of a workload that guards, and of no other."""
        guards = state is BaselineState.GUARDING
        if self._told.get(number) is guards:
            return
        entry = np.zeros(1, self._entry)
        entry["flags"] = self._stacks if guards else 0
        self._map.set(number.to_bytes(4, "little"), entry.tobytes())
        self._told[number] = guards
