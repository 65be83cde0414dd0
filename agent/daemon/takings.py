"""How much of a model those read who do not belong to its workload, as long as they do."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from agent.daemon.classes import WEIGHTS, class_of
from collectors.numbers import to_stat
from collectors.sightings import Sighting
from collectors.taking import taken
from detectors.theft import TAKEN, TAKEN_MOST

MOST: Final = 64
"""Followed at once; of more, that they opened it is told, as of all."""


@dataclass(slots=True)
class _Reader:
    workload: str
    sighting: Sighting
    told: int = 0  # thresholds passed


class Takings:
    """Follows strangers with a model open or mapped."""

    def __init__(self) -> None:
        """Follow nobody."""
        self._readers: dict[tuple[int, tuple[int, int]], _Reader] = {}

    def follow(self, workload: str, sighting: Sighting) -> None:
        """Take in that a stranger opened something of a workload."""
        who = sighting.pid, sighting.inode
        room = who not in self._readers and len(self._readers) < MOST
        if room and class_of(sighting.item) == WEIGHTS:
            self._readers[who] = _Reader(workload, sighting)

    def look(self, percents: tuple[float, ...], now_ns: int) -> Iterator[tuple[str, Sighting]]:
        """Yield workload and sighting of whoever has passed another share of a model's bytes.

        Args:
            percents: Ascending.
            now_ns: CLOCK_MONOTONIC.
        """
        for who, reader in list(self._readers.items()):
            pid, (number, inode) = who
            so_far = taken(pid, (to_stat(number), inode))
            if so_far is None or not so_far.size:
                del self._readers[who]
                continue
            share = min(100.0, 100.0 * so_far.read / so_far.size)
            passed = sum(share >= percent for percent in percents)
            if passed > reader.told:
                reader.told = passed
                marks = {TAKEN, TAKEN_MOST} if passed == len(percents) else {TAKEN}
                words = f"{share:.0f} % ({so_far.read:,} of {so_far.size:,} bytes)"
                told = replace(
                    reader.sighting,
                    time_ns=now_ns,
                    marks=reader.sighting.marks | marks,
                    other=words,
                    key=b"",
                )
                yield reader.workload, told
