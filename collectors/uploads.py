"""Where bytes went on a workload's own connections: the kernel's totals by peer, as differences.

The map is bounded and forgets whom it heard of least lately; a peer it forgot begins anew. What
was sent while the agent was away is in its totals, and in no difference.
"""

from dataclasses import dataclass, field
from heapq import nlargest
from typing import Final

import numpy as np

from collectors.sightings import address, protocol_name
from probes.loader import Sensor

MOST: Final = 8
"""Peers told of one workload and reading: those that took most."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What one peer was sent.

    Attributes:
        peer: In the notation of the verdicts, `tcp 10.0.0.1:443`.
        sent_bytes: Since the last reading, with IP's headers.
        total_bytes: Since the kernel first heard of it.
    """

    peer: str
    sent_bytes: int
    total_bytes: int


@dataclass(slots=True)
class Uploads:
    """Reads and subtracts."""

    sensor: Sensor
    _told: dict[bytes, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take what was sent before as known."""
        self._told = self._totals()

    def read(self) -> dict[int, tuple[Upload, ...]]:
        """By workload, the peers that took most since the last reading, most first."""
        totals = self._totals()
        grown = {
            key: total - before if total >= (before := self._told.get(key, 0)) else total
            for key, total in totals.items()
        }
        found: dict[int, list[tuple[int, bytes]]] = {}
        dtype = self.sensor.schema.dtype("upload_key")
        for key, sent in grown.items():
            if sent:
                owner = int(np.frombuffer(key, dtype)[0]["workload"])
                found.setdefault(owner, []).append((sent, key))
        self._told = totals
        return {
            owner: tuple(
                Upload(_peer(np.frombuffer(key, dtype)[0]), sent, totals[key])
                for sent, key in nlargest(MOST, mine)
            )
            for owner, mine in found.items()
        }

    def _totals(self) -> dict[bytes, int]:
        keys, values = self.sensor.maps["uploads"].items()
        totals = values.view("<u8").ravel()
        return {key.tobytes(): int(total) for key, total in zip(keys, totals, strict=True)}


def _peer(key: np.void) -> str:
    host = address(int(key["family"]), key["remote"].view(np.uint8))
    return f"{protocol_name(int(key['protocol']))} {host}:{int(key['port'])}"
