"""What is wrong with a model file that a workload uses, and who was seen to write it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collectors.sightings import Sighting

MOST_WRITERS: Final = 1_024


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a model file that a workload uses.

    Attributes:
        mark: One of `detectors.rules.models`.
        pid: Of a process that opened it; 0 where none is known.
    """

    workload: str
    path: str
    mark: str
    words: str
    pid: int

    def sighting(self, number: int, role: int, time_ns: int) -> Sighting:
        """As something new that this workload, by number, did in this role."""
        return Sighting(
            kind="approval",
            item=self.path,
            workload=number,
            role=role,
            time_ns=time_ns,
            pid=self.pid,
            ppid=0,
            uid=0,
            start_ns=0,
            cgroup=0,
            comm="",
            marks=frozenset({self.mark}),
            other=self.words,
        )


class Writers:
    """The last that was seen to write or change each file, by path."""

    def __init__(self) -> None:
        """Have seen nobody."""
        self._known: OrderedDict[str, str] = OrderedDict()

    def note(self, path: str, who: str) -> None:
        """Remember one."""
        self._known[path] = who
        self._known.move_to_end(path)
        while len(self._known) > MOST_WRITERS:
            self._known.popitem(last=False)

    def words(self, path: str) -> str:
        """Say who it was, also where the path is a link."""
        for name in (path, str(Path(path).resolve())):
            if name in self._known:
                return f"last written by {self._known[name]}"
        return "nobody was seen to write it"
