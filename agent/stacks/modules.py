"""What a process has mapped, read at once: an address as a file and a place in it."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_LINE: Final = re.compile(
    r"^([0-9a-f]+)-([0-9a-f]+) ..(.). ([0-9a-f]+) \S+ \d+ *(.*)$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Mapping:
    """One executable mapping.

    Attributes:
        offset: In the file, of its first byte.
        path: As the process sees it; "[vdso]" and the like, or "" where there is no file.
    """

    start: int
    end: int
    offset: int
    path: str

    def place(self, address: int) -> int:
        """Where in the file an address lies."""
        return address - self.start + self.offset


class Modules:
    """The executable mappings of one process."""

    def __init__(self, mappings: list[Mapping]) -> None:
        """Take mappings in the order of their addresses."""
        self._mappings = mappings
        self._starts = [one.start for one in mappings]

    @classmethod
    def parse(cls, maps: str) -> "Modules":
        """Read the text of /proc/PID/maps."""
        return cls(
            [
                Mapping(int(start, 16), int(end, 16), int(offset, 16), path)
                for start, end, executable, offset, path in _LINE.findall(maps)
                if executable == "x"
            ]
        )

    @classmethod
    def of(cls, pid: int) -> "Modules":
        """What a process has mapped now; nothing if it has ended."""
        try:
            return cls.parse(Path(f"/proc/{pid}/maps").read_text("utf-8", "replace"))
        except OSError:
            return cls([])

    def find(self, address: int) -> Mapping | None:
        """The mapping of code in which an address lies."""
        at = bisect_right(self._starts, address) - 1
        found = self._mappings[at] if at >= 0 else None
        return found if found is not None and address < found.end else None

    def plain(self) -> list[list[Any]]:
        """For a worker."""
        return [[one.start, one.end, one.offset, one.path] for one in self._mappings]


def frame(address: int, modules: Modules, symbol: str = "") -> dict[str, Any]:
    """One frame as a verdict has it: `symbol` is "" where only the module is known."""
    found = modules.find(address)
    module = "" if found is None else found.path or "[anonymous]"
    if not symbol and found is not None:
        symbol = f"+{found.place(address):#x}"
    return {"address": address, "symbol": symbol, "module": module}
