"""GPUs as NVML tells of them, and who holds their device files as the kernel tells.

NVML is a library the driver brings; it can lie or be replaced, so the two accounts are compared.
Its calls may block for seconds in the driver: open and read from a worker thread, one at a time.
Sources: NVIDIA's NVML API reference; device numbers as `/proc/devices` lists them.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from types import ModuleType
from typing import Any, TypeVar

from collectors import procfs
from collectors.processes import ProcessTable
from collectors.procfs import ReadCounts

NVIDIA_CTL_MINOR = 255
NVIDIA_MODESET_MINOR = 254

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


@dataclass(frozen=True, slots=True)
class GpuHolder:
    """A process that has NVIDIA device files open."""

    pid: int
    devices: tuple[str, ...]  # "nvidia0", "nvidiactl", "nvidia-uvm"

    @property
    def computes(self) -> bool:
        """Whether it holds what a CUDA context needs: a GPU and the memory device."""
        gpu = any(name.removeprefix("nvidia").isdigit() for name in self.devices)
        return gpu and "nvidia-uvm" in self.devices


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
            devices = tuple(self._device(self._nvml, index) for index in range(count))
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
        self.state, self.words = GpuState.ABSENT, "The reader was closed."
        try:
            nvml.nvmlShutdown()
        except nvml.NVMLError:
            self.counts.failed += 1

    def _device(self, nvml: ModuleType, index: int) -> GpuDevice:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        memory = self._ask(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
        rates = self._ask(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
        mig = self._ask(nvml, nvml.nvmlDeviceGetMigMode, handle)
        # Drivers before 510 know only the older call.
        listed = self._ask(nvml, nvml.nvmlDeviceGetComputeRunningProcesses_v3, handle)
        if listed is None:
            listed = self._ask(nvml, nvml.nvmlDeviceGetComputeRunningProcesses_v2, handle)
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
        )

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


def holders(table: ProcessTable) -> tuple[GpuHolder, ...]:
    """Return the processes with NVIDIA devices open, by pid.

    Found by device number, so that a node of another name is seen too. Costs one look at each
    descriptor of each process, and nothing on a host without the driver.
    """
    majors = _majors(table)
    if not majors:
        return ()
    found: list[GpuHolder] = []
    for process in table:
        names: set[str] = set()
        for file in process.open_files:
            # Sockets, pipes and anonymous inodes have no slash and are no devices.
            if file.target.startswith("/") and (
                name := _device_name(process.pid, file.fd, majors, table)
            ):
                names.add(name)
        if names:
            found.append(GpuHolder(process.pid, tuple(sorted(names))))
    return tuple(found)


def _majors(table: ProcessTable) -> dict[int, str]:
    """Return the character devices of the driver by major number, as the kernel registered them."""
    path = f"{table.source.root}/devices"
    data = procfs.text(procfs.read(path, procfs.SMALL_LIMIT, table.counts) or b"")
    pairs = (line.split() for line in data.partition("Block devices")[0].splitlines())
    return {
        int(pair[0]): pair[1]
        for pair in pairs
        if len(pair) == 2 and pair[1].startswith("nvidia")  # noqa: PLR2004 (number and name)
    }


def _device_name(pid: int, fd: int, majors: dict[int, str], table: ProcessTable) -> str:
    try:
        number = os.stat(f"{table.source.root}/{pid}/fd/{fd}").st_rdev  # noqa: PTH116 (hot)
    except OSError as error:
        table.counts.note(error)
        return ""
    name = majors.get(os.major(number), "") if number else ""
    if name not in {"nvidia", "nvidia-frontend"}:
        return name
    special = {NVIDIA_CTL_MINOR: "nvidiactl", NVIDIA_MODESET_MINOR: "nvidia-modeset"}
    return special.get(os.minor(number), f"nvidia{os.minor(number)}")


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
