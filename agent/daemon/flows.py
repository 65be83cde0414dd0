"""Bytes and connections by where the other end is, as readings of a window."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collectors.counters import Counts
from probes.schema import Schema

_PUBLIC: Final = ("PEER_PUBLIC",)
_NEAR: Final = ("PEER_PRIVATE", "PEER_LINK")

_BYTES: Final = {
    "bytes_out_accepted_public": ("FLOW_ACCEPTED_OUT", _PUBLIC),
    "bytes_out_initiated_public": ("FLOW_INITIATED_OUT", _PUBLIC),
    "bytes_out_initiated_private": ("FLOW_INITIATED_OUT", _NEAR),
    "bytes_in_initiated_public": ("FLOW_INITIATED_IN", _PUBLIC),
    "bytes_in_initiated_private": ("FLOW_INITIATED_IN", _NEAR),
}
_CONNECTIONS: Final = {
    "accepts_public": ("FLOW_ACCEPTED_OUT", _PUBLIC),
    "connects_public": ("FLOW_INITIATED_OUT", _PUBLIC),
    "connects_private": ("FLOW_INITIATED_OUT", _NEAR),
}


@dataclass(frozen=True, slots=True)
class Flows:
    """Where each reading's counts stand in a workload's row.

    Attributes:
        classes: Of `enum peer_class`.
        flows: Of `enum peer_flow`.
    """

    classes: dict[str, int]
    flows: dict[str, int]

    @classmethod
    def of(cls, schema: Schema) -> "Flows":
        """By the names of the object."""
        return cls(schema.enum("peer_class"), schema.enum("peer_flow"))

    def readings(self, counts: Counts, number: int, length_s: float) -> dict[str, float]:
        """One workload's readings by the names of `detectors.features`, per second."""
        found = self._sums(_BYTES, counts.peer_bytes[number])
        found |= self._sums(_CONNECTIONS, counts.peer_connections[number])
        return {name: count / length_s for name, count in found.items()}

    def _sums(
        self, wanted: dict[str, tuple[str, tuple[str, ...]]], row: NDArray[np.uint64]
    ) -> dict[str, int]:
        table = row.reshape(-1, self.flows["FLOW_MAX"])
        return {
            name: int(sum(table[self.classes[one], self.flows[flow]] for one in classes))
            for name, (flow, classes) in wanted.items()
        }
