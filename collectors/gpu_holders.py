"""Who has the device files of GPUs open, as the kernel tells.

Source: device numbers as `/proc/devices` lists them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final

from collectors import procfs
from collectors.processes import ProcessTable
from collectors.procfs import ReadCounts

NVIDIA_CTL_MINOR = 255
NVIDIA_MODESET_MINOR = 254

_DRIVERS: Final = re.compile(r"(?:nvidia.*|kfd|drm|accel)$")
"""As drivers name their character devices: NVIDIA's; AMD's for computing; those that render, of any
maker; accelerators of the kernel's own kind."""


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


def registered(counts: ReadCounts, root: str = "/proc") -> dict[int, str]:
    """Return the character devices of GPU drivers by major number, as the kernel registered them.

    Costs one small file; empty where no such driver is loaded.
    """
    data = procfs.text(procfs.read(f"{root}/devices", procfs.SMALL_LIMIT, counts) or b"")
    pairs = (line.split() for line in data.partition("Block devices")[0].splitlines())
    return {
        int(pair[0]): pair[1]
        for pair in pairs
        if len(pair) == 2 and _DRIVERS.match(pair[1])  # noqa: PLR2004 (number and name)
    }


def _majors(table: ProcessTable) -> dict[int, str]:
    """Return those of NVIDIA's driver."""
    found = registered(table.counts, table.source.root)
    return {number: name for number, name in found.items() if name.startswith("nvidia")}


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
