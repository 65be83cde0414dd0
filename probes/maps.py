"""Kernel maps as numpy: look-ups, updates, and snapshots in batches.

A snapshot costs a few system calls whatever its size; where a kernel has no batch
call for a map type, it is read key by key.
"""

from __future__ import annotations

import errno
import mmap
import os
from typing import TYPE_CHECKING, Final

import numpy as np

from probes import libbpf

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_INFO: Final = np.dtype(  # struct bpf_map_info, include/uapi/linux/bpf.h, its stable beginning
    [
        ("type", "<u4"),
        ("id", "<u4"),
        ("key_size", "<u4"),
        ("value_size", "<u4"),
        ("max_entries", "<u4"),
        ("map_flags", "<u4"),
        ("name", "S16"),
        ("interface", "<u4"),
        ("kernel_value", "<u4"),
        ("namespace", "<u8", 2),
        ("btf", "<u4"),  # of the object that made it: 5.2 and later
        ("key_type", "<u4"),
        ("value_type", "<u4"),
        ("reserved", "<u4"),
    ]
)
_PER_CPU_TYPES: Final = (5, 6, 10)  # per-CPU hash, per-CPU array, LRU per-CPU hash
_CHUNK: Final = 4096
_NO_BATCH: Final = (errno.EINVAL, errno.EOPNOTSUPP, 524)  # 524: the kernel's own ENOTSUPP
_ANY: Final = 0


class BpfMap:
    """One map, by descriptor. Values of per-CPU maps have one slot per possible CPU."""

    def __init__(self, fd: int, name: str) -> None:
        self.fd = fd
        self.name = name
        self._lib = libbpf.library()
        info = np.zeros(1, _INFO)
        size = np.array([_INFO.itemsize], "<u4")
        code = self._lib.bpf_obj_get_info_by_fd(fd, info.ctypes.data, size.ctypes.data)
        if code:
            raise libbpf.failed(f"describe map {name}", code)
        self.type = int(info["type"][0])
        self.id = int(info["id"][0])
        self.key_bytes = int(info["key_size"][0])
        self.value_bytes = int(info["value_size"][0])
        self.max_entries = int(info["max_entries"][0])
        self.flags = int(info["map_flags"][0])
        self.kernel_name = info["name"][0].decode()  # cut off after 15 bytes
        self.btf_id = int(info["btf"][0])
        self.types = (int(info["key_type"][0]), int(info["value_type"][0]))
        self.cpus = libbpf.possible_cpus() if self.type in _PER_CPU_TYPES else 1

    @classmethod
    def pinned(cls, pins: Path, name: str) -> BpfMap:
        """Opens a map by its name in bpffs.

        Raises:
            ProbeError: it is not there, or not ours to open.
        """
        fd = libbpf.library().bpf_obj_get(os.fsencode(pins / name))
        if fd < 0:
            raise libbpf.failed(f"open map {pins / name}", fd)
        return cls(fd, name)

    @classmethod
    def numbered(cls, number: int) -> BpfMap:
        """Opens a map by the kernel's id, pinned or not.

        Raises:
            ProbeError: it is not there any more.
        """
        fd = libbpf.library().bpf_map_get_fd_by_id(number)
        if fd < 0:
            raise libbpf.failed(f"open map {number}", fd)
        return cls(fd, str(number))

    @property
    def _slot_bytes(self) -> int:
        """Bytes of one entry's value as the kernel copies it."""
        if self.cpus == 1 and self.type not in _PER_CPU_TYPES:
            return self.value_bytes
        return -(-self.value_bytes // 8) * 8 * self.cpus

    def get(self, key: bytes) -> bytes | None:
        """The value, all CPUs' slots in a row for a per-CPU map; None if there is no such key."""
        value = np.zeros(self._slot_bytes, np.uint8)
        at = np.frombuffer(key, np.uint8)
        code = self._lib.bpf_map_lookup_elem(self.fd, at.ctypes.data, value.ctypes.data)
        if code == -errno.ENOENT:
            return None
        if code:
            raise libbpf.failed(f"read map {self.name}", code)
        return value.tobytes()

    def set(self, key: bytes, value: bytes) -> None:
        """Writes one entry, new or old."""
        at, new = np.frombuffer(key, np.uint8), np.frombuffer(value, np.uint8)
        if len(at) != self.key_bytes or len(new) != self._slot_bytes:
            raise libbpf.failed(f"write map {self.name}", errno.EINVAL)
        code = self._lib.bpf_map_update_elem(self.fd, at.ctypes.data, new.ctypes.data, _ANY)
        if code:
            raise libbpf.failed(f"write map {self.name}", code)

    def delete(self, key: bytes) -> bool:
        """Removes one entry; False if there was none."""
        at = np.frombuffer(key, np.uint8)
        code = self._lib.bpf_map_delete_elem(self.fd, at.ctypes.data)
        if code in (0, -errno.ENOENT):
            return bool(code == 0)
        raise libbpf.failed(f"remove an entry of map {self.name}", code)

    def items(self, most: int | None = None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Every entry: keys (n, key_bytes), values (n, bytes of all CPUs' slots), uint8.

        Args:
            most: Stop after so many: of an array map, its first entries. None: all.
        """
        keys: list[NDArray[np.uint8]] = []
        values: list[NDArray[np.uint8]] = []
        position = np.zeros(max(self.key_bytes, 4), np.uint8)
        size, first = min(_CHUNK, most or self.max_entries), True
        while True:
            key = np.zeros((size, self.key_bytes), np.uint8)
            value = np.zeros((size, self._slot_bytes), np.uint8)
            count = np.array([size], "<u4")
            code = self._lib.bpf_map_lookup_batch(
                self.fd,
                None if first else position.ctypes.data,
                position.ctypes.data,
                key.ctypes.data,
                value.ctypes.data,
                count.ctypes.data,
                None,
            )
            if code == -errno.ENOSPC:  # one hash bucket holds more than fits
                size *= 2
                continue
            if first and -code in _NO_BATCH:
                return self._items_singly()
            if code not in (0, -errno.ENOENT):
                raise libbpf.failed(f"read map {self.name} in batches", code)
            got, first = int(count[0]), False
            keys.append(key[:got])
            values.append(value[:got])
            if code == -errno.ENOENT or sum(map(len, keys)) >= (most or self.max_entries + 1):
                return np.concatenate(keys)[:most], np.concatenate(values)[:most]

    def _items_singly(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        keys, values = [], []
        key, following = np.zeros(self.key_bytes, np.uint8), np.zeros(self.key_bytes, np.uint8)
        at = None
        while not self._lib.bpf_map_get_next_key(self.fd, at, following.ctypes.data):
            value = self.get(following.tobytes())
            if value is not None:
                keys.append(following.copy())
                values.append(np.frombuffer(value, np.uint8))
            key[:] = following
            at = key.ctypes.data
        return (
            np.array(keys, np.uint8).reshape(-1, self.key_bytes),
            np.array(values, np.uint8).reshape(-1, self._slot_bytes),
        )

    def sums(self, most: int | None = None) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]:
        """Keys, and the sum over CPUs of each u64 value, shape (n,)."""
        keys, values = self.items(most)
        if not len(keys):
            return keys, np.zeros(0, np.uint64)
        return keys, values.view("<u8").reshape(len(keys), -1).sum(axis=1, dtype=np.uint64)

    def array(self, most: int | None = None) -> NDArray[np.uint64]:
        """An array map of u64 values, summed over CPUs, in index order, shape (max_entries,).

        Args:
            most: Read only the first so many; the rest are 0 here.
        """
        keys, counts = self.sums(most)
        out = np.zeros(self.max_entries, np.uint64)
        out[keys.view("<u4").ravel()] = counts
        return out

    def memory(self) -> NDArray[np.uint8]:
        """An array map's own memory (`BPF_F_MMAPABLE`), shape (max_entries, value_bytes).

        What the kernel writes is read without a system call, and what is written here is there.

        Raises:
            ProbeError: it is no such map.
        """
        length = self.max_entries * self.value_bytes
        try:
            raw = mmap.mmap(self.fd, -(-length // mmap.PAGESIZE) * mmap.PAGESIZE)
        except OSError as error:
            raise libbpf.failed(f"map {self.name} into memory", error.errno or 0) from error
        return np.frombuffer(raw, np.uint8, length).reshape(self.max_entries, self.value_bytes)

    def delete_many(self, keys: NDArray[np.uint8]) -> int:
        """Removes keys of shape (n, key_bytes); returns how many were there."""
        return sum(self.delete(key.tobytes()) for key in keys)

    def close(self) -> None:
        """Closes the descriptor; a pinned map stays."""
        os.close(self.fd)
