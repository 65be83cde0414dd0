"""The probes on the GPU driver's library, over the maps of those that are loaded already.

An object of its own, loaded when the first such library is seen. Its links are this
process's alone: a probe that nobody reads would cost every call of a server for nothing.
What is counted lies in pinned maps and goes on with the next daemon.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from probes import libbpf
from probes.attachments import pinned_anew
from probes.errors import ProbeError
from probes.maps import BpfMap

if TYPE_CHECKING:
    from probes.schema import Schema

OBJECT: Final = Path(__file__).with_name("cuda.bpf.o")
BLOCKS: Final = "gpu_blocks"
NAMES: Final = "gpu_names"
_SHARED: Final = frozenset(
    {"tasks", "totals", "losses", "seen", "submitted", "ring", "modes", "contained"}
)
LACKING: Final = "this kernel asks for CAP_SYS_ADMIN, which the agent does not hold"
"""From 6.16, and in stable kernels since July 2025, for any uprobe (kernel commit ba677dbe77af)."""

_ANSWERED: Final = frozenset({"GPU_ALLOCATE", "GPU_LOOKUP"})
_HASH_BASIS: Final = 0xCBF29CE484222325
_HASH_PRIME: Final = 0x100000001B3
_WORD: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the driver API, by the arguments of cuda.h.

    Attributes:
        name: As the library has it, without `_ptsz` or `_ptds`: variants that differ in the
            stream they use.
        act: Of `enum gpu_act`.
        argument: Position of the argument that matters.
        detail: A second position, or what a GPU_SHARE does, by its place in `FUNCTIONS`.
    """

    name: str
    act: str
    argument: int = 0
    detail: int = 0


_COPIES: Final = {
    "GPU_SEND": ("cuMemcpyHtoD_v2", "cuMemcpyHtoDAsync_v2"),
    "GPU_FETCH": ("cuMemcpyDtoH_v2", "cuMemcpyDtoHAsync_v2"),
    "GPU_COPY": ("cuMemcpy", "cuMemcpyAsync"),
}
_SHARES: Final = (
    "cuIpcGetMemHandle",
    "cuIpcOpenMemHandle_v2",
    "cuIpcOpenMemHandle",
    "cuIpcGetEventHandle",
    "cuIpcOpenEventHandle",
    "cuMemExportToShareableHandle",
    "cuMemImportFromShareableHandle",
    "cuMemPoolExportToShareableHandle",
    "cuMemPoolImportFromShareableHandle",
    "cuMemPoolExportPointer",
    "cuMemPoolImportPointer",
    "cuMemGetHandleForAddressRange",
    "cuImportExternalMemory",
)
_LAUNCHES: Final = (
    "cuLaunch",
    "cuLaunchGrid",
    "cuLaunchGridAsync",
    "cuLaunchKernel",
    "cuLaunchKernelEx",
    "cuLaunchCooperativeKernel",
    "cuLaunchCooperativeKernelMultiDevice",
    "cuGraphLaunch",
)


FUNCTIONS: Final = (
    *(Function(name, "GPU_LAUNCH") for name in _LAUNCHES),
    *(Function(name, act, 2) for act, names in _COPIES.items() for name in names),
    Function("cuMemcpyAtoH_v2", "GPU_FETCH", 3),
    Function("cuMemcpyAtoHAsync_v2", "GPU_FETCH", 3),
    Function("cuMemcpyHtoA_v2", "GPU_SEND", 3),
    Function("cuMemcpyHtoAAsync_v2", "GPU_SEND", 3),
    Function("cuMemcpy2D_v2", "GPU_COPY_BLOCK"),
    Function("cuMemcpy2DUnaligned_v2", "GPU_COPY_BLOCK"),
    Function("cuMemcpy2DAsync_v2", "GPU_COPY_BLOCK"),
    Function("cuMemcpy3D_v2", "GPU_COPY_BLOCK", 0, 1),
    Function("cuMemcpy3DAsync_v2", "GPU_COPY_BLOCK", 0, 1),
    Function("cuMemcpyBatchAsync", "GPU_COPY_BATCH", 2, 3),
    Function("cuMemcpyBatchAsync_v2", "GPU_COPY_BATCH", 2, 3),
    Function("cuMemAlloc_v2", "GPU_ALLOCATE", 1),
    Function("cuMemAllocManaged", "GPU_ALLOCATE", 1),
    Function("cuMemAllocAsync", "GPU_ALLOCATE", 1),
    Function("cuMemAllocFromPoolAsync", "GPU_ALLOCATE", 1),
    Function("cuMemCreate", "GPU_ALLOCATE", 1),
    Function("cuMemAllocPitch_v2", "GPU_ALLOCATE", 1, 3),
    Function("cuMemFree_v2", "GPU_FREE"),
    Function("cuMemFreeAsync", "GPU_FREE"),
    Function("cuMemRelease", "GPU_FREE"),
    *(Function(f"cuCtxCreate{version}", "GPU_CONTEXT") for version in ("", "_v2", "_v3", "_v4")),
    Function("cuDevicePrimaryCtxRetain", "GPU_CONTEXT"),
    Function("cuModuleLoadData", "GPU_MODULE", 1),
    Function("cuModuleLoadDataEx", "GPU_MODULE", 1),
    Function("cuModuleLoadFatBinary", "GPU_MODULE", 1),
    Function("cuLibraryLoadData", "GPU_MODULE", 1),
    *(Function(name, "GPU_MODULE", 2, 4) for name in ("cuLinkAddData", "cuLinkAddData_v2")),
    Function("cuModuleLoad", "GPU_MODULE_FILE", 1),
    Function("cuLibraryLoadFromFile", "GPU_MODULE_FILE", 1),
    *(Function(name, "GPU_MODULE_FILE", 2) for name in ("cuLinkAddFile", "cuLinkAddFile_v2")),
    *(Function(name, "GPU_SHARE", 0, at) for at, name in enumerate(_SHARES)),
    Function("cuGetProcAddress", "GPU_LOOKUP"),
    Function("cuGetProcAddress_v2", "GPU_LOOKUP"),
)
"""Source: CUDA driver API reference 12 and its header cuda.h; `_v2` where that header maps a plain
name to it."""

_VARIANTS: Final = ("", "_ptsz", "_ptds")
BY_NAME: Final = {one.name + variant: one for one in FUNCTIONS for variant in _VARIANTS}


def asked_for(name: str) -> Function | None:
    """What `cuGetProcAddress` is asked for goes by names without their version."""
    plain = name.removesuffix("_ptsz").removesuffix("_ptds")
    return BY_NAME.get(f"{plain}_v2") or BY_NAME.get(plain)


def share_name(detail: int) -> str:
    """The function behind a GPU_SHARE's number."""
    return _SHARES[detail] if detail < len(_SHARES) else str(detail)


def name_hash(name: bytes) -> int:
    """FNV-1a, as the probe hashes the names it is asked for."""
    value = _HASH_BASIS
    for letter in name:
        value = ((value ^ letter) * _HASH_PRIME) & _WORD
    return value


def prefix_hash(prefix: bytes) -> int:
    """The same over words of eight bytes, as the probe hashes the beginning of code."""
    value = _HASH_BASIS
    for at in range(0, len(prefix), 8):
        word = int.from_bytes(prefix[at : at + 8], "little")
        value = ((value ^ word) * _HASH_PRIME) & _WORD
    return value


class CudaProbes:
    """The loaded object, and what it is attached to.

    Args:
        pins: Where the maps of the other object are pinned.
        schema: Of that object.

    Raises:
        ProbeError: the kernel refuses it, or has no cookies (Linux before 5.15).
    """

    def __init__(self, pins: Path, schema: Schema) -> None:
        """Load; nothing is attached yet."""
        self._acts = schema.enum("gpu_act")
        self._object = libbpf.Object(OBJECT)
        for name in self._object.maps.keys() & _SHARED:
            self._object.pin_map(name, pins / name)
        try:
            self._object.load()
            self.blocks = self._own(BLOCKS, pins)
            names = self._object.map_fd(NAMES)
        except ProbeError:
            self._object.close()
            raise
        known = BpfMap(names, NAMES)
        plain = {name for one in BY_NAME for name in (one, one.replace("_v2", ""))}
        for name in sorted(plain):
            known.set(name_hash(name.encode()).to_bytes(8, "little"), bytes((1, 0, 0, 0)))
        known.close()

    def _own(self, name: str, pins: Path) -> BpfMap:
        """A map of this object: what an earlier daemon counted in it is filled in, and pinned."""
        mine = BpfMap(self._object.map_fd(name), name)
        try:
            before = BpfMap.pinned(pins, name)
        except ProbeError:
            before = None
        if before is not None:
            if (before.key_bytes, before.value_bytes) == (mine.key_bytes, mine.value_bytes):
                for key, value in zip(*before.items(), strict=True):
                    mine.set(key.tobytes(), value.tobytes())
            before.close()
        pinned_anew(mine.fd, pins / name)
        return mine

    def attach(self, file: int, offset: int, function: Function) -> list[libbpf.Link]:
        """Attach to one function.

        Args:
            file: Descriptor of the library.
            offset: Of the function in it.
            function: What it does.

        Raises:
            ProbeError: the kernel refuses: no code is there, or a right is short, by name.
        """
        path = f"/proc/self/fd/{file}"
        cookie = self._acts[function.act] | function.argument << 8 | function.detail << 16
        if function.act not in _ANSWERED:
            return [self._attached("cuda_called", path, offset, cookie)]
        answered = self._attached("cuda_answered", path, offset)
        try:
            return [answered, self._attached("cuda_asked", path, offset, cookie)]
        except ProbeError:
            answered.close()
            raise

    def _attached(self, program: str, path: str, offset: int, cookie: int = 0) -> libbpf.Link:
        try:
            return self._object.attach_uprobe(program, path, offset, cookie)
        except ProbeError as error:
            if error.number != errno.EACCES:
                raise
            act, number = "attach to a function", error.number
            raise ProbeError(act, LACKING, number=number, details=error.details) from error

    def held_bytes(self) -> dict[int, int]:
        """GPU memory that is allocated and not freed, by workload; drops what ended processes had.

        The driver frees a process's memory when it ends, without a call.
        """
        keys, values = self.blocks.items()
        held: dict[int, int] = {}
        alive: dict[int, bool] = {}
        for key, value in zip(keys, values, strict=True):
            pid = int.from_bytes(key[8:12].tobytes(), "little")
            if pid not in alive:
                alive[pid] = os.path.exists(f"/proc/{pid}")  # noqa: PTH110 (hot)
            if not alive[pid]:
                self.blocks.delete(key.tobytes())
                continue
            workload = int.from_bytes(value[8:12].tobytes(), "little")
            held[workload] = held.get(workload, 0) + int.from_bytes(value[:8].tobytes(), "little")
        return held

    def close(self) -> None:
        """Let go. Links are their holders' to close."""
        self.blocks.close()
        self._object.close()
