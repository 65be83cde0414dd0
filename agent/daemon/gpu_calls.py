"""Calls of workloads to the drivers of GPUs, which the kernel counts by the device's number.

It needs neither NVML nor a probe in the driver's library: what is left where the agent may not
attach to that.
"""

from collections.abc import Mapping
from typing import Final

from agent.log import log
from collectors.counters import Counts
from collectors.gpu_holders import registered
from collectors.procfs import ReadCounts
from probes.errors import ProbeError
from probes.loader import Sensor

_COUNTER: Final = "COUNT_GPU_CALLS"
_COUNTED: Final = (1).to_bytes(4, "little")


class GpuCalls:
    """Tells the kernel which devices are GPUs, and reads what it counted.

    Attributes:
        drivers: Names by major number of the devices that are counted.
    """

    def __init__(self, sensor: Sensor) -> None:
        """Count none yet; what an earlier agent told the kernel holds until `follow`."""
        self._map = sensor.maps["gpu_majors"]
        self._counter = {_COUNTER: sensor.schema.enum("counter")[_COUNTER]}
        self._counts = ReadCounts()
        self.drivers: dict[int, str] = {}

    def look(self) -> None:
        """Keep in step with the drivers that are loaded."""
        self.follow(registered(self._counts))

    def follow(self, drivers: Mapping[int, str]) -> None:
        """Count calls to these alone, by major number."""
        wanted = {major.to_bytes(4, "little") for major in drivers}
        try:
            before = {row.tobytes() for row in self._map.items()[0]}
            for key in wanted - before:
                self._map.set(key, _COUNTED)
            for key in before - wanted:
                self._map.delete(key)
        except ProbeError as error:  # what is not counted is no reading, and never 0
            self.drivers = {}
            log.once("gpu.uncounted", why=error)
            return
        self.drivers = dict(drivers)

    def readings(self, counts: Counts, number: int, length_s: float) -> dict[str, float]:
        """A workload's feature; empty on a host without a GPU's driver."""
        if not self.drivers:
            return {}
        named = counts.named(counts.totals, self._counter, number)
        return {"gpu_calls": named[_COUNTER] / length_s}

    def status(self) -> str:
        """Which devices are counted, in words."""
        told = (f"{name} (major {major})" for major, name in sorted(self.drivers.items()))
        return ", ".join(told) or "no GPU driver has device files here"
