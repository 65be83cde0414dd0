"""Xid errors of GPUs as they happen: what the driver's log says, by number, through NVML's events.

Sources: NVIDIA's NVML API reference, "Event Handling Methods"; "Xid Errors".
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final

MOST_EVENTS: Final = 256
"""Taken in one look: a GPU that fails again and again must not hold the reader."""


class XidEvents:
    """Takes what has happened since the last look; nothing where the driver tells no events."""

    def __init__(self, nvml: ModuleType, count: int) -> None:
        """Ask for the events of this many GPUs."""
        self._nvml, self.lost = nvml, 0
        self._set: Any = None
        try:
            self._set = nvml.nvmlEventSetCreate()
        except nvml.NVMLError:
            return
        for index in range(count):
            try:
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                nvml.nvmlDeviceRegisterEvents(handle, nvml.nvmlEventTypeXidCriticalError, self._set)
            except nvml.NVMLError:
                self.lost += 1  # of this one, nothing is told; the others are

    def take(self) -> dict[int, tuple[int, ...]]:
        """By the GPU's index, the numbers of its errors, oldest first; waits for nothing."""
        found: dict[int, list[int]] = {}
        for _ in range(MOST_EVENTS if self._set is not None else 0):
            try:
                event = self._nvml.nvmlEventSetWait_v2(self._set, 0)
                index = self._nvml.nvmlDeviceGetIndex(event.device)
            except self._nvml.NVMLError_Timeout:
                break
            except self._nvml.NVMLError:
                self.lost += 1
                break
            found.setdefault(int(index), []).append(int(event.eventData))
        return {index: tuple(numbers) for index, numbers in found.items()}

    def close(self) -> None:
        """Let the events go."""
        if self._set is None:
            return
        try:
            self._nvml.nvmlEventSetFree(self._set)
        except self._nvml.NVMLError:
            self.lost += 1
        self._set = None
