"""The kernel's first-seen set: what it remembers, it tells no second time."""

from collections.abc import Iterable
from typing import Final

from probes.loader import Sensor

MOST: Final = 256
"""Keys removed after one window: what repeats more often is told again a window later."""


class Seen:
    """Makes the kernel forget."""

    def __init__(self, sensor: Sensor) -> None:
        """Take the map and its layout."""
        self._map = sensor.maps["seen"]
        self._key = sensor.schema.dtype("seen_key")

    def forget(self, keys: Iterable[bytes]) -> None:
        """Have these told again at their next occurrence: what is not learned must be."""
        for key in list(keys)[:MOST]:
            self._map.delete(key)

    def forget_workload(self, number: int) -> None:
        """Have everything of one workload told again, as when it learns anew."""
        keys, _ = self._map.items()
        if len(keys):
            entries = keys.view(self._key).ravel()
            self._map.delete_many(keys[entries["workload"] == number])
