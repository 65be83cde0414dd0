"""The kernel's switch in pinned maps: it works without a daemon, and outlives it.

Values are `struct containment` and `struct member` of probes/events.h, laid out
by the object's own type information.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from agent.response.budgets import Budgets
from agent.response.containment import Step
from agent.response.switch import Sent, Switched, SwitchError
from probes.errors import ProbeError
from probes.maps import BpfMap
from probes.reflex import MAPS as REFLEX_MAPS
from probes.reflex import ReflexMaps, Stop
from probes.schema import Schema

MAPS: Final = ("contained", "members", "budgets", "spent")

LEVELS: Final = {Step.CONTAIN: "CONTAIN_NETWORK", Step.FREEZE: "CONTAIN_FREEZE"}


class PinnedSwitch:
    """A `ContainmentSwitch` over the pinned maps.

    Args:
        maps: `contained`, array by workload number of `struct containment`; `members`, hash by
            thread group of `struct member`; `budgets` and `spent`, see `Budgets`; those of
            `ReflexMaps`, which an earlier agent may not have pinned.
        schema: Of the object the maps belong to.
    """

    def __init__(self, maps: Mapping[str, BpfMap], schema: Schema) -> None:
        self._contained = maps["contained"]
        self._members = maps["members"]
        self._budgets = Budgets(maps["budgets"], maps["spent"], schema)
        reflexes = maps.keys() >= set(REFLEX_MAPS)
        self._reflexes = ReflexMaps(maps, schema) if reflexes else None
        self._value = schema.dtype("containment")
        self._member = schema.dtype("member")
        levels = schema.enum("containment_level")
        self._mask, self._clients = levels["CONTAIN_LEVELS"], levels["CONTAIN_CLIENTS"]
        self._levels = {step: levels[name] for step, name in LEVELS.items()}
        self._steps = {level: step for step, level in self._levels.items()}

    @classmethod
    def open(cls, pins: Path, schema: Schema) -> "PinnedSwitch | None":
        """Open the maps under `pins`; None where no agent has pinned them since the host started.

        Raises:
            SwitchError: They are there and cannot be opened.
        """
        if not (pins / "contained").exists():
            return None
        try:
            there = [name for name in REFLEX_MAPS if (pins / name).exists()]
            return cls({name: BpfMap.pinned(pins, name) for name in (*MAPS, *there)}, schema)
        except ProbeError as error:
            raise SwitchError(error) from error

    def set(
        self, workload_id: int, step: Step, until_ns: int, *, cut_clients: bool = False
    ) -> None:
        """Contain or freeze the workload; see `ContainmentSwitch`."""
        value = np.zeros(1, self._value)
        value["level"] = self._levels[step] | (self._clients if cut_clients else 0)
        value["until_ns"] = until_ns
        self._write(workload_id, value.tobytes())

    def limit(self, workload_id: int, upload_bytes: Mapping[str, int], until_ns: int) -> None:
        """Limit what the workload sends; see `ContainmentSwitch`."""
        self._budgets.set(workload_id, upload_bytes, until_ns)

    def sent(self, workload_id: int) -> Mapping[str, Sent]:
        """Return what was counted against those limits, by class of peer."""
        return self._budgets.sent(workload_id)

    def clear(self, workload_id: int) -> None:
        """Contain the workload no longer."""
        self._write(workload_id, bytes(self._value.itemsize))
        self._budgets.clear(workload_id)

    def get(self, workload_id: int) -> Switched | None:
        """Return what the kernel is told; None for nothing."""
        try:
            value = self._contained.get(_key(workload_id))
        except ProbeError as error:
            raise SwitchError(error) from error
        told = None if value is None else self._switched(np.frombuffer(value, self._value)[0])
        return told or self._budgets.get(workload_id)

    def switched(self) -> Mapping[int, Switched]:
        """Return every workload that the kernel is told to contain."""
        keys, values = self._items(self._contained)
        told = {
            int(key): self._switched(value)
            for key, value in zip(
                keys.view("u4").ravel(), values.view(self._value).ravel(), strict=True
            )
        }
        higher = {workload: value for workload, value in told.items() if value is not None}
        return {**self._budgets.switched(), **higher}

    def stops(self) -> list[Stop]:
        """Return whom the kernel stopped by itself."""
        if self._reflexes is None:
            return []
        try:
            return self._reflexes.stops()
        except ProbeError as error:
            raise SwitchError(error) from error

    def let_off(self, stops: Iterable[Stop]) -> None:
        """Forget these stops, and allow what they were for."""
        if self._reflexes is None:
            return
        try:
            self._reflexes.let_off(stops)
        except ProbeError as error:
            raise SwitchError(error) from error

    def members(self) -> Mapping[int, tuple[int, int]]:
        """Return thread group → (workload number, role)."""
        keys, values = self._items(self._members)
        pids = keys.view("u4").ravel().tolist()
        members = values.view(self._member).ravel()
        facts = zip(members["workload"].tolist(), members["role"].tolist(), strict=True)
        return dict(zip(pids, facts, strict=True))

    def workload_of(self, pid: int) -> int | None:
        """Return the workload that the kernel lists this thread group for; None for none."""
        try:
            value = self._members.get(_key(pid))
        except ProbeError as error:
            raise SwitchError(error) from error
        return None if value is None else int(np.frombuffer(value, self._member)[0]["workload"])

    def _switched(self, value: np.void) -> Switched | None:
        level = int(value["level"])
        step, cut = self._steps.get(level & self._mask), bool(level & self._clients)
        return None if step is None else Switched(step, int(value["until_ns"]), cut_clients=cut)

    def _write(self, workload_id: int, value: bytes) -> None:
        try:
            self._contained.set(_key(workload_id), value)
        except ProbeError as error:
            raise SwitchError(error) from error

    def _items(self, source: BpfMap) -> tuple[np.ndarray, np.ndarray]:
        try:
            return source.items()
        except ProbeError as error:
            raise SwitchError(error) from error


def _key(number: int) -> bytes:
    return np.uint32(number).tobytes()
