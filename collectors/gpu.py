"""GPUs as NVML tells of them, and who holds their device files as the kernel tells.

NVML is a library the driver brings; it can lie or be replaced, so the two accounts are compared.
Its calls may block for seconds in the driver: open and read from a worker thread, one at a time.
Source: NVIDIA's NVML API reference.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from types import ModuleType
from typing import Any, TypeVar

from collectors.gpu_errors import XidEvents
from collectors.gpu_holders import GpuHolder, holders
from collectors.processes import ProcessTable
from collectors.procfs import ReadCounts

Answer = TypeVar("Answer")


class GpuState(StrEnum):
    """Whether NVML answers."""

    READY = "ready"
    ABSENT = "absent"  # no driver, no library or no GPU: normal on most hosts
    FAILED = "failed"  # there is a driver, and it does not answer


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """One process on one GPU, as NVML lists it."""

    pid: int
    memory_bytes: int | None  # None where the driver does not tell (MIG, some virtual GPUs)


@dataclass(frozen=True, slots=True)
class GpuDevice:
    """One GPU. None where it does not offer a reading."""

    index: int
    uuid: str
    name: str
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    percent: float | None  # of the last sample period in which a kernel ran, 1/6 s to 1 s
    mig: bool | None  # split into instances; utilisation is then not told
    processes: tuple[GpuProcess, ...] | None
    ecc_errors: int | None = None  # not corrected, since the driver was loaded
    xids: tuple[int, ...] = ()  # errors since the last look, by NVIDIA's numbers
    clock_mhz: int | None = None  # of what computes, now
    clock_limit_mhz: int | None = None  # and at most: far less under load is heat or want of power


@dataclass(frozen=True, slots=True)
class GpuMismatch:
    """NVML and the kernel disagree about a process.

    "unlisted": it holds a GPU and NVML does not name it. "unheld": NVML names it and it holds no
    device in sight, as one does that hides its `/proc`, or lives in another pid namespace.
    """

    pid: int
    kind: str


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One look at the GPUs of this host."""

    state: GpuState
    words: str
    devices: tuple[GpuDevice, ...] = ()
    holders: tuple[GpuHolder, ...] = ()
    mismatches: tuple[GpuMismatch, ...] = ()

    def of(self, pids: Collection[int]) -> dict[str, float]:
        """Return gpu_memory_bytes and gpu_percent of a workload; empty unless NVML answered.

        The percentage is that of the busiest GPU the workload is on, whoever else is on it.
        """
        if self.state is not GpuState.READY:
            return {}
        if any(device.processes is None for device in self.devices):
            return {}
        mine = [
            (device, process)
            for device in self.devices
            for process in device.processes or ()
            if process.pid in pids
        ]
        sizes = [process.memory_bytes for _, process in mine]
        told = [size for size in sizes if size is not None]
        percents = [device.percent for device, _ in mine]
        busy = [percent for percent in percents if percent is not None]
        readings: dict[str, float] = {}
        if len(told) == len(sizes):
            readings["gpu_memory_bytes"] = float(sum(told))
        if len(busy) == len(percents):
            readings["gpu_percent"] = max(busy, default=0.0)
        return readings


@dataclass(slots=True)
class GpuReader:
    """Reads NVML once opened. Not safe for two threads at once."""

    state: GpuState
    words: str
    counts: ReadCounts = field(default_factory=ReadCounts)
    _nvml: ModuleType | None = None
    _xids: XidEvents | None = None

    @classmethod
    def open(cls) -> GpuReader:
        """Load the driver's library. Never raises: absence and failure are states, with words."""
        try:
            nvml = importlib.import_module("pynvml")
        except ImportError:
            return cls(GpuState.ABSENT, "The Python package nvidia-ml-py is not installed.")
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            return cls(*_why(nvml, error))
        return cls(GpuState.READY, "NVML answers.", _nvml=nvml)

    def read(self, table: ProcessTable) -> GpuReading:
        """Return what NVML says now, beside who holds the devices in this snapshot."""
        found = holders(table)
        if self._nvml is None:
            return GpuReading(self.state, self.words, holders=found)
        try:
            count = self._nvml.nvmlDeviceGetCount()
            self._xids = self._xids or XidEvents(self._nvml, count)
            xids = self._xids.take()
            devices = tuple(
                self._device(self._nvml, index, xids.get(index, ())) for index in range(count)
            )
        except self._nvml.NVMLError as error:
            self.counts.failed += 1
            state, words = _why(self._nvml, error)
            return GpuReading(state, words, holders=found)
        if not devices:
            return GpuReading(GpuState.ABSENT, "The driver is there and has no GPU.", holders=found)
        return GpuReading(GpuState.READY, self.words, devices, found, _compare(devices, found))

    def close(self) -> None:
        """Let the library go. A second time does nothing."""
        nvml, self._nvml = self._nvml, None
        if nvml is None:
            return
        if self._xids is not None:
            self._xids.close()
        self.state, self.words = GpuState.ABSENT, "The reader was closed."
        try:
            nvml.nvmlShutdown()
        except nvml.NVMLError:
            self.counts.failed += 1

    def _device(self, nvml: ModuleType, index: int, xids: tuple[int, ...]) -> GpuDevice:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        memory = self._ask(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
        rates = self._ask(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
        mig = self._ask(nvml, nvml.nvmlDeviceGetMigMode, handle)
        listed = self._listed(nvml, handle)
        if mig is not None and mig[0]:
            for instance in self._instances(nvml, handle):
                listed = [*(listed or ()), *(self._listed(nvml, instance) or ())]
        computing = nvml.NVML_CLOCK_SM
        uncorrected = nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
        return GpuDevice(
            index,
            str(self._ask(nvml, nvml.nvmlDeviceGetUUID, handle) or ""),
            str(self._ask(nvml, nvml.nvmlDeviceGetName, handle) or ""),
            int(memory.used) if memory is not None else None,
            int(memory.total) if memory is not None else None,
            float(rates.gpu) if rates is not None else None,
            bool(mig[0]) if mig is not None else None,
            None
            if listed is None
            else tuple(GpuProcess(item.pid, item.usedGpuMemory) for item in listed),
            self._ask(nvml, lambda h: nvml.nvmlDeviceGetTotalEccErrors(h, *uncorrected), handle),
            xids,
            self._ask(nvml, lambda h: nvml.nvmlDeviceGetClockInfo(h, computing), handle),
            self._ask(nvml, lambda h: nvml.nvmlDeviceGetMaxClockInfo(h, computing), handle),
        )

    def _listed(self, nvml: ModuleType, handle: object) -> list[Any] | None:
        """The processes of a GPU or of an instance; drivers before 510 know only the older call."""
        listed = self._ask(nvml, nvml.nvmlDeviceGetComputeRunningProcesses_v3, handle)
        if listed is None:
            listed = self._ask(nvml, nvml.nvmlDeviceGetComputeRunningProcesses_v2, handle)
        return None if listed is None else list(listed)

    def _instances(self, nvml: ModuleType, handle: object) -> list[object]:
        """The instances that a GPU is split into (MIG); their processes are listed there alone."""
        found = []
        for at in range(self._ask(nvml, nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
            try:
                found.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, at))
            except nvml.NVMLError_NotFound:
                continue  # a place without an instance
            except nvml.NVMLError:
                self.counts.failed += 1
        return found

    def _ask(
        self, nvml: ModuleType, question: Callable[[Any], Answer], handle: object
    ) -> Answer | None:
        """Return one answer of one device; None when it does not offer it, counted otherwise."""
        try:
            return question(handle)
        except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound):
            return None
        except nvml.NVMLError_GpuIsLost:
            raise
        except nvml.NVMLError:
            self.counts.failed += 1
            return None


def _why(nvml: ModuleType, error: Exception) -> tuple[GpuState, str]:
    if isinstance(error, nvml.NVMLError_LibraryNotFound):
        return GpuState.ABSENT, "The driver's libnvidia-ml.so.1 is not on this host."
    if isinstance(error, nvml.NVMLError_DriverNotLoaded):
        return GpuState.ABSENT, "The NVIDIA kernel driver is not loaded."
    return GpuState.FAILED, f"NVML does not answer: {error}."


def _compare(
    devices: Collection[GpuDevice], found: Collection[GpuHolder]
) -> tuple[GpuMismatch, ...]:
    if any(device.processes is None for device in devices):
        return ()  # nothing to compare with
    listed = {process.pid for device in devices for process in device.processes or ()}
    holding = {holder.pid for holder in found}
    computing = {holder.pid for holder in found if holder.computes}
    unlisted = [GpuMismatch(pid, "unlisted") for pid in sorted(computing - listed)]
    return (*unlisted, *(GpuMismatch(pid, "unheld") for pid in sorted(listed - holding)))
