"""Whose a file is: the classes and holders that the agent tells the kernel."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from agent.daemon.classes import WEIGHTS, class_of, is_gpu, is_private
from agent.log import log
from collectors.models.artifacts import held, inside, is_weights
from collectors.processes import Process
from collectors.sightings import Sighting
from probes.classes import by_suffix
from probes.errors import ProbeError
from probes.loader import Sensor
from probes.sensitive import kernel_device

MOST: Final = 4_096
"""Files held at once, by all workloads: half of the kernel's room. The oldest is given up."""

_TOLD: Final = frozenset({"file", "write", "model"})
_BITS: Final = 64

Number = tuple[int, int]
"""Device and inode, as the kernel numbers them."""


@dataclass(slots=True)
class Holding:
    """One file. `path` is as its holder sees it; `pid` was one that opened it."""

    path: str
    pid: int
    generation: int = 0
    workloads: set[int] = field(default_factory=set)


class Holdings:
    """Corrects the kernel's guesses, and keeps its list of what a stranger has no need to open.

    Attributes:
        lost: Entries that the kernel refused.
    """

    def __init__(self, sensor: Sensor) -> None:
        """Take the maps; what a daemon before us wrote stays."""
        self.lost = 0
        self._classes, self._held = sensor.maps["file_classes"], sensor.maps["held_files"]
        self._numbers = sensor.schema.enum("file_class")
        self._key = sensor.schema.dtype("file_key")
        self._value = sensor.schema.dtype("file_holders")
        self._known: OrderedDict[Number, Holding] = OrderedDict()

    def see(
        self, sightings: Iterable[Sighting], number: int, ordinary: Callable[[Sighting], bool]
    ) -> None:
        """Take in what a workload opened or mapped for the first time.

        Args:
            sightings: Of this workload.
            number: Of the workload.
            ordinary: Whether a sighting is nothing new to it: one that opens another's weights
                as never before does not become a holder by that.
        """
        for sighting in sightings:
            if sighting.kind not in _TOLD or not sighting.inode[1] or "listed" in sighting.marks:
                continue
            self._refine(sighting)
            if not is_private(sighting.item):
                continue
            holding = self._known.get(sighting.inode)
            foreign = holding is not None and number not in holding.workloads
            if not foreign or ordinary(sighting):
                self._hold(sighting.inode, sighting.item, number, sighting.pid, sighting.generation)

    def adopt(self, processes: Iterable[Process], number: int) -> None:
        """Take in what processes hold that ran before us: mapped, open, or named to them."""
        for process in processes:
            paths = {one.path for one in held(process)}
            paths |= {file.path for file in process.mapped}
            paths |= {file.target for file in process.open_files if is_gpu(file.target)}
            for path in filter(is_private, paths):
                try:
                    found = inside(process, path).stat()
                except OSError:
                    continue  # deleted, or the process is gone: nobody opens it by this name
                where = (kernel_device(found.st_dev), found.st_ino)
                self._hold(where, path, number, process.pid, 0)

    def find(self, sighting: Sighting) -> Holding:
        """What a stranger opened; from the record alone where a daemon before us noted it."""
        known = self._known.get(sighting.inode)
        if known is not None:
            return known
        return Holding(sighting.item, 0, sighting.generation, {sighting.workload})

    def stands(self, sighting: Sighting) -> bool:
        """Whether the file is still the holder's; forgets it otherwise.

        A number goes to another file when its first is deleted: another name shows that, and
        a look through the holder's own root tells it from a second name of the same file.
        """
        holding = self._known.get(sighting.inode)
        if holding is None or holding.path.rpartition("/")[2] == sighting.item.rpartition("/")[2]:
            return True
        try:
            found = Path(f"/proc/{holding.pid}/root{holding.path}").stat()
        except OSError:
            found = None
        if found and (kernel_device(found.st_dev), found.st_ino) == sighting.inode:
            return True
        self._give_up(sighting.inode)
        return False

    def _refine(self, sighting: Sighting) -> None:
        found = class_of(sighting.item)
        if found is None or (found == by_suffix(sighting.item) and found != WEIGHTS):
            return
        key = self._key_of(sighting.inode, sighting.generation)
        self._write(self._classes.set, key, np.array([self._numbers[found]], "<u4").tobytes())

    def _hold(self, where: Number, path: str, number: int, pid: int, generation: int) -> None:
        holding = self._known.pop(where, None) or Holding(path, pid, generation)
        self._known[where] = holding
        if number in holding.workloads and holding.path == path:
            return
        holding.path, holding.pid = path, pid
        holding.workloads.add(number)
        key = self._key_of(where)
        value = np.zeros(1, self._value)
        before = self._held.get(key)
        if before is not None:
            value["workloads"] = np.frombuffer(before, self._value)["workloads"]
        value["workloads"][0, number // _BITS] |= np.uint64(1 << (number % _BITS))
        value["generation"] = holding.generation
        self._write(self._held.set, key, value.tobytes())
        if len(self._known) > MOST:
            self._give_up(next(iter(self._known)))

    def _give_up(self, where: Number) -> None:
        self._known.pop(where, None)
        self._held.delete(self._key_of(where))

    def _key_of(self, where: Number, generation: int = 0) -> bytes:
        key = np.zeros(1, self._key)
        key["dev"], key["ino"], key["generation"] = *where, generation
        return key.tobytes()

    def _write(self, write: Callable[[bytes, bytes], None], key: bytes, value: bytes) -> None:
        try:
            write(key, value)
        except ProbeError as error:
            self.lost += 1
            log.once("files.unnoted", why=error)


def weights_of(processes: Iterable[Process]) -> dict[Number, int]:
    """Sizes in bytes of the weights that processes hold which ran before us."""
    found = {}
    for process in processes:
        for one in held(process):
            if not is_weights(one.path):
                continue
            try:
                there = inside(process, one.path).stat()
            except OSError:
                continue  # deleted, or the process is gone
            found[kernel_device(there.st_dev), there.st_ino] = there.st_size
    return found
