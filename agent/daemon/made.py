"""Which files a workload made itself: writing to those again changes nobody else's."""

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Final

from collectors.sightings import Sighting

_MOST: Final = 4096
"""Files remembered; a server that makes more at run time wrote the oldest long ago."""


@dataclass(slots=True)
class Made:
    """Remembers what it was seen to create, by device, inode and generation."""

    _files: OrderedDict[tuple[int, int, int], None] = field(default_factory=OrderedDict)

    def mark(self, sighting: Sighting) -> Sighting:
        """Return the sighting, with the mark ``made`` if it writes to such a file."""
        if sighting.kind != "write" or not all(sighting.inode):
            return sighting
        file = (*sighting.inode, sighting.generation)
        if "create" in sighting.marks:
            self._files[file] = None
            if len(self._files) > _MOST:
                self._files.popitem(last=False)
        elif file in self._files:
            return replace(sighting, marks=sighting.marks | {"made"})
        return sighting
