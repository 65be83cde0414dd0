"""Records of changed names and attributes into sightings: a rename is told by both its names."""

import posixpath
import stat
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collectors.sightings import FILE_STORM, Reader, Sighting, directory
from probes.schema import Schema

Directories = Callable[[NDArray[np.void]], NDArray[np.uint64]]
"""A number per directory of a record's path."""

_MARKS: Final = {
    "CHANGE_RENAME_FROM": "renamed-from",
    "CHANGE_RENAME_TO": "renamed-to",
    "CHANGE_LINK_FROM": "linked-from",
    "CHANGE_LINK": "linked-to",
    "CHANGE_SYMLINK": "symlinked",
    "CHANGE_UNLINK": "removed",
    "CHANGE_MKDIR": "made-directory",
    "CHANGE_RMDIR": "removed-directory",
    "CHANGE_MKNOD": "made-node",
    "CHANGE_TRUNCATE": "truncated-to",
    "CHANGE_EMPTY": "emptied",
    "CHANGE_MODE": "mode",
    "CHANGE_OWNER": "owner",
    "CHANGE_XATTR": "attribute",
    "CHANGE_TIMES": "times",
    "CHANGE_MOUNT": "mounted",
    "CHANGE_UNMOUNT": "unmounted",
    "CHANGE_FLAGS": "flags",
    "CHANGE_REFUSED_OPEN": "refused-open",
    "CHANGE_REFUSED_WRITE": "refused-write",
}
REFUSED: Final = frozenset({"refused-open", "refused-write"})
"""Marks, and kinds, of opens that the kernel did not allow; nothing was changed by them."""

_ATTRIBUTE_MARKS: Final = {
    "XATTR_CAPABILITY": "file-capabilities",
    "XATTR_SECURITY": "security-attribute",
    "XATTR_TRUSTED": "security-attribute",
}
_EXECUTABLE: Final = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
_SET_ID: Final = stat.S_ISUID | stat.S_ISGID
_IMMUTABLE: Final = 0x10 | 0x20
"""FS_IMMUTABLE_FL and FS_APPEND_FL, include/uapi/linux/fs.h."""


class Changes:
    """Reads change records.

    Args:
        schema: Of the loaded object.
        reader: Shared with the other records: marks, and what is read and refused.
        directories: Groups paths for a storm.
    """

    def __init__(self, schema: Schema, reader: Reader, directories: Directories) -> None:
        """Look the constants up."""
        operations = schema.enum("change_operation")
        self._marks = {operations[name]: mark for name, mark in _MARKS.items()}
        classes = schema.enum("xattr_class")
        self._attributes = {classes[name]: mark for name, mark in _ATTRIBUTE_MARKS.items()}
        self._target = operations["CHANGE_SYMLINK_TARGET"]
        self._given = schema.enum("event_flag")["FLAG_GIVEN"]
        self._directory = schema.enum("event_flag")["FLAG_DIRECTORY"]
        self._reader = reader
        self._directories = directories

    def read(self, records: NDArray[np.void]) -> list[Sighting]:
        """One sighting per changed name; of a storm, one per directory and operation."""
        sightings: list[Sighting] = []
        owners = records["hdr"]["workload"].copy()
        for workload in np.unique(owners):
            mine = records[owners == workload]
            sightings += self._fan_out(mine) if len(mine) > FILE_STORM else self._pairs(mine)
        return sightings

    def _pairs(self, records: NDArray[np.void]) -> Iterator[Sighting]:
        """Names the other one where two records of one thread bear one time."""
        calls: dict[tuple[int, int], list[np.void]] = {}
        for record in records:
            header = record["hdr"]
            calls.setdefault((int(header["tid"]), int(header["time_ns"])), []).append(record)
        for pair in calls.values():
            names = [normal(self._reader.path(record)) for record in pair]
            for at, record in enumerate(pair):
                if int(record["operation"]) != self._target:
                    other = names[1 - at] if len(pair) == 2 else ""  # noqa: PLR2004 - a pair
                    yield self._sighting(record, names[at], other)

    def _fan_out(self, records: NDArray[np.void]) -> Iterator[Sighting]:
        records = records[records["operation"] != self._target]
        identity = self._directories(records)
        identity ^= records["operation"].astype(np.uint64)
        _, first, counts = np.unique(identity, return_index=True, return_counts=True)
        for at, count in zip(first, counts, strict=True):
            path = self._reader.path(records[at])
            if count > 1:
                path = directory(path) + "*"
            yield self._sighting(records[at], normal(path), "", int(count))

    def crowd(self, key: np.void, crowd: np.void, item: str, count: int) -> Sighting | None:
        """Changes of one directory that were not told one by one; None for what links hold."""
        mark = self._marks.get(int(key["access"]))
        if mark is None:
            return None
        base = self._reader.base(crowd) | {"time_ns": int(crowd["latest_ns"])}
        flags = int(crowd["hdr"]["flags"])
        marks = base.pop("marks") | {mark} | self._told(mark, int(crowd["detail"]))
        marks |= {"given"} if flags & self._given else set()
        marks = of_directory(marks) if flags & self._directory else marks
        return Sighting(_kind(mark), normal(item), **base, marks=marks, count=count)

    def _sighting(self, record: np.void, item: str, other: str, count: int = 1) -> Sighting:
        operation, detail = int(record["operation"]), int(record["detail"])
        mark = self._marks[operation]
        base = self._reader.base(record)
        flags, given = int(record["hdr"]["flags"]), ""
        marks = base.pop("marks") | {mark} | self._told(mark, detail)
        if flags & self._given:
            marks, given = marks | {"given"}, self._reader.path(record)
        if flags & self._directory:
            marks = of_directory(marks)
        return Sighting(
            kind=_kind(mark),
            item=item,
            **base,
            marks=marks,
            key=self._reader.seen_key(record["hdr"], first=int(record["hash"]), access=operation),
            inode=(int(record["dev"]), int(record["ino"])),
            count=count,
            other=other or _value(mark, detail),
            given=given,
        )

    def _told(self, mark: str, detail: int) -> frozenset[str]:
        """Marks for what the call's argument says."""
        told: set[str] = set()
        if mark == "mode":
            told |= {"executable"} if detail & _EXECUTABLE else set()
            told |= {"set-id"} if detail & _SET_ID else set()
        elif mark == "made-node":
            told |= {"device"} if stat.S_IFMT(detail) in {stat.S_IFCHR, stat.S_IFBLK} else set()
        elif mark == "flags":
            told |= {"immutable"} if detail & _IMMUTABLE else set()
        elif mark == "attribute":
            told |= {self._attributes[detail]} if detail in self._attributes else set()
        return frozenset(told)


def _kind(mark: str) -> str:
    """What was not allowed is of a kind of its own: only what judges it may take it for a use."""
    return mark if mark in REFUSED else "write"


def _value(mark: str, detail: int) -> str:
    if mark == "mode":
        return f"{stat.S_IMODE(detail):04o}"
    return str(detail) if mark in {"owner", "truncated-to"} else ""


def of_directory(marks: frozenset[str]) -> frozenset[str]:
    """The marks of a change if it is one to a directory: nobody runs those."""
    return marks - {"executable", "set-id"} | {"directory"}


def normal(path: str) -> str:
    """A path without `.`, `..` and doubled slashes, by its text alone."""
    return "/" + posixpath.normpath(path).lstrip("/") if path.startswith("/") else path
