"""Upload budgets in the kernel's pinned maps: bytes that may be sent an hour, by class of peer."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from agent.response.containment import NANOSECONDS, Step
from agent.response.switch import Sent, Switched, SwitchError
from probes.errors import ProbeError
from probes.maps import BpfMap
from probes.schema import Schema

WINDOW_S: Final = 3600


class Budgets:
    """Limits and what was counted against them; every method may raise SwitchError.

    Args:
        budgets: Array by workload number of `struct upload_budget`.
        spent: Array by workload number and class of peer of `struct upload_spent`.
        schema: Of the object the maps belong to.
    """

    def __init__(self, budgets: BpfMap, spent: BpfMap, schema: Schema) -> None:
        self._budgets = budgets
        self._spent = spent
        self._value = schema.dtype("upload_budget")
        self._row = schema.dtype("upload_spent")
        classes = schema.enum("peer_class")
        self._count = classes["PEER_CLASS_MAX"]
        self._classes = {
            name.removeprefix("PEER_").lower(): at
            for name, at in classes.items()
            if at < self._count
        }

    def set(self, workload_id: int, upload_bytes: Mapping[str, int], until_ns: int) -> None:
        """Limit the workload; a class that is not named is free."""
        value = np.zeros(1, self._value)
        value["until_ns"], value["window_ns"] = until_ns, WINDOW_S * NANOSECONDS
        for name, limit in upload_bytes.items():
            value["limit_bytes"][0, self._classes[name]] = limit
        self._write(self._budgets, workload_id, value.tobytes())

    def clear(self, workload_id: int) -> None:
        """Limit it no longer, and forget what was counted."""
        self._write(self._budgets, workload_id, bytes(self._value.itemsize))
        for at in self._classes.values():
            self._write(self._spent, workload_id * self._count + at, bytes(self._row.itemsize))

    def get(self, workload_id: int) -> Switched | None:
        """Return the limit of a workload; None for none."""
        value = np.frombuffer(self._read(self._budgets, workload_id), self._value)[0]
        if not value["window_ns"]:
            return None
        limits = {
            name: int(value["limit_bytes"][at])
            for name, at in self._classes.items()
            if value["limit_bytes"][at]
        }
        return Switched(Step.LIMIT, int(value["until_ns"]), limits)

    def switched(self) -> dict[int, Switched]:
        """Return every limited workload."""
        try:
            keys, _ = self._budgets.items()
        except ProbeError as error:
            raise SwitchError(error) from error
        told = {int(key): self.get(int(key)) for key in keys.view("u4").ravel()}
        return {workload: value for workload, value in told.items() if value is not None}

    def sent(self, workload_id: int) -> dict[str, Sent]:
        """Return what was counted against the limits, by class of peer."""
        limited = self.get(workload_id)
        found = {}
        for name in limited.upload_bytes if limited else ():
            at = workload_id * self._count + self._classes[name]
            row = np.frombuffer(self._read(self._spent, at), self._row)[0]
            found[name] = Sent(int(row["bytes"]), int(row["refused"]))
        return found

    @staticmethod
    def _read(source: BpfMap, number: int) -> bytes:
        try:
            value = source.get(np.uint32(number).tobytes())
        except ProbeError as error:
            raise SwitchError(error) from error
        if value is None:
            raise SwitchError(f"there is no entry {number}")
        return value

    @staticmethod
    def _write(target: BpfMap, number: int, value: bytes) -> None:
        try:
            target.set(np.uint32(number).tobytes(), value)
        except ProbeError as error:
            raise SwitchError(error) from error
