"""Whether a map of an earlier object can go on as it is, and how its contents fit a new one.

Two objects are compared by their own type information: the earlier one's is asked of the
kernel, which keeps it with each program, or read from a copy pinned beside the maps.
Nothing is known here of any earlier version.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from probes import libbpf
from probes.attachments import pinned_anew
from probes.errors import ProbeError
from probes.maps import BpfMap
from probes.schema import Schema

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TABLES: Final = {
    "totals": ("counter",),
    "losses": ("loss_reason",),
    "file_bytes": ("file_class", "file_direction"),
    "peer_bytes": ("peer_class", "peer_flow"),
    "peer_connections": ("peer_class", "peer_flow"),
    "submitted": ("event_kind",),
}
"""Array maps of counts, by the enums whose constants number a row's columns."""

_PER_WORKLOAD: Final = frozenset(TABLES) - {"submitted"}
_ARRAY: Final = 2  # BPF_MAP_TYPE_ARRAY
_END: Final = "_MAX"
_EVENTS: Final = "_event"
_BTF: Final = np.dtype(
    [("data", "<u8"), ("size", "<u4"), ("id", "<u4"), ("name", "<u8"), ("rest", "<u4", 2)]
)


@dataclass(frozen=True, slots=True)
class Layout:
    """What must be the same for a map to be used by another object."""

    numbers: tuple[int, ...]  # type, key bytes, value bytes, entries, flags
    types: tuple[str, str]
    columns: tuple[tuple[str, int], ...]


def keep_types(path: Path, kept: Path) -> None:
    """Pins a copy of an object's types, for the agent after this one.

    The kernel's own is CAP_SYS_ADMIN's to read, which the unit has not.
    """
    raw = libbpf.btf_bytes(path)
    fd = libbpf.library().bpf_map_create(_ARRAY, b"types", 4, len(raw), 1, None)
    if fd < 0:
        raise libbpf.failed("keep the types of the object", fd)
    copy = BpfMap(fd, kept.name)
    copy.set(bytes(4), raw)
    pinned_anew(fd, kept)
    copy.close()


def kernel_schema(number: int, kept: Path) -> Schema:
    """The types of an object as the kernel keeps them with its programs and maps.

    Args:
        number: The kernel's, of these types.
        kept: Where a copy of them is pinned.

    Raises:
        ProbeError: it keeps none.
    """
    library = libbpf.library()
    fd = library.bpf_btf_get_fd_by_id(number)
    if fd == -errno.EPERM:
        copy = BpfMap.pinned(kept.parent, kept.name)
        types = copy.get(bytes(4)) or b""
        copy.close()
        return Schema(types)
    if fd < 0:
        raise libbpf.failed("read the types of the object before", fd)
    try:
        info, size = np.zeros(1, _BTF), np.array([_BTF.itemsize], "<u4")
        for room in (0, 1):
            raw = np.zeros(int(info["size"][0]), np.uint8)
            info["data"], info["size"] = (raw.ctypes.data if room else 0), len(raw)
            code = library.bpf_obj_get_info_by_fd(fd, info.ctypes.data, size.ctypes.data)
            if code:
                raise libbpf.failed("read the types of the object before", code)
    finally:
        os.close(fd)
    return Schema(raw.tobytes())


def of_map(each: BpfMap, types: Schema) -> Layout:
    """The layout of a map that exists."""
    numbers = (each.type, each.key_bytes, each.value_bytes, each.max_entries, each.flags)
    return _layout(each.name, numbers, each.types, types)


def of_object(opened: libbpf.Object, name: str, types: Schema) -> Layout:
    """The layout of a map that an object would make."""
    return _layout(name, *opened.map_numbers(name), types)


def _layout(name: str, numbers: tuple[int, ...], ids: tuple[int, int], types: Schema) -> Layout:
    key, value = (types.form(number) for number in ids)
    columns = tuple(item for enum in TABLES.get(name, ()) for item in _constants(types, enum))
    if name in {"ring", "seen", "crowds"}:  # a kind of record is part of what they hold
        columns = tuple(_constants(types, "event_kind"))
    if name == "ring":
        events = types.structs(_EVENTS, types.limit("RECORD_BYTES"))
        value = " ".join(str(types.dtype(event)) for event in events)
    return Layout(numbers, (key, value), columns)


def _constants(types: Schema, enum: str) -> list[tuple[str, int]]:
    try:
        return [item for item in types.enum(enum).items() if not item[0].endswith(_END)]
    except ProbeError:
        return []


def columns(name: str, types: Schema) -> dict[tuple[str, ...], int]:
    """The columns of one row of a table of counts, by the names of their constants."""
    found: dict[tuple[str, ...], int] = {(): 0}
    for enum in TABLES[name]:
        width = max((value for _, value in _constants(types, enum)), default=0) + 1
        width = next((v for n, v in types.enum(enum).items() if n.endswith(_END)), width)
        found = {
            (*names, constant): at * width + value
            for names, at in found.items()
            for constant, value in _constants(types, enum)
        }
    return found


def table(
    name: str, counts: NDArray[np.uint64], before: Schema, now: Schema, entries: int
) -> NDArray[np.uint64]:
    """Counts of an earlier object's table where the present object has them.

    Args:
        name: Of the table.
        counts: Shape (entries of the earlier map,).
        before: Types of the earlier object.
        now: Types of the present one.
        entries: Of the present map.
    """
    rows = [types.limit("MAX_WORKLOADS") if name in _PER_WORKLOAD else 1 for types in (before, now)]
    old = counts.reshape(rows[0], -1)
    new = np.zeros((rows[1], entries // rows[1]), np.uint64)
    places, kept = columns(name, now), min(rows)
    for names, at in columns(name, before).items():
        if names in places:
            new[:kept, places[names]] = old[:kept, at]
    return new.ravel()


def fitted(
    raw: NDArray[np.uint8], before: np.dtype[np.void], now: np.dtype[np.void]
) -> NDArray[np.uint8]:
    """Entries of shape (n, bytes), field by field into another struct; what is new is 0."""
    old = np.ascontiguousarray(raw).view(before).ravel()
    new = np.zeros(len(old), now)
    for field in set(before.names or ()) & set(now.names or ()):
        new[field] = old[field]
    return new.view(np.uint8).reshape(len(new), now.itemsize)
