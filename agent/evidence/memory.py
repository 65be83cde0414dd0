"""Memory of chosen mappings: code that never was a file, and what else is nowhere but there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from agent.evidence.bounds import Bounds
from agent.evidence.opened import OpenedProcess
from agent.evidence.pieces import Piece

ANONYMOUS: Final = "[anon]"
ANONYMOUS_CODE: Final = "[anon-code]"
_KERNELS_OWN: Final = frozenset({"[vvar]", "[vvar_vclock]", "[vsyscall]"})
_NAME_FIELD: Final = 5  # of a line of /proc/PID/maps, proc(5)


@dataclass(frozen=True, slots=True)
class Mapping:
    """One line of /proc/PID/maps."""

    start: int
    end: int
    permissions: str
    name: str

    @classmethod
    def parse(cls, line: str) -> "Mapping":
        """Read what the kernel wrote."""
        fields = line.split(None, _NAME_FIELD)
        start, _, end = fields[0].partition("-")
        name = fields[_NAME_FIELD].rstrip("\n") if len(fields) > _NAME_FIELD else ANONYMOUS
        return cls(int(start, 16), int(end, 16), fields[1], name)

    def wanted(self, chosen: tuple[str, ...]) -> bool:
        """Return whether one of `chosen` means it; brackets of a kernel's name are no glob."""
        if self.name in _KERNELS_OWN or self.permissions.startswith("---"):
            return False  # room that an allocator keeps has no content, and takes the bound
        code = self.name == ANONYMOUS and "x" in self.permissions
        return any(
            self.name == one or (code and one == ANONYMOUS_CODE) or fnmatchcase(self.name, one)
            for one in chosen
        )


class Memory:
    """Takes memory until the bound is used up.

    Args:
        bounds: Limits, and whose memory.
        alive: Called while much is read, so that nobody takes us for stuck.
    """

    def __init__(self, bounds: Bounds, alive: Callable[[], None]) -> None:
        self._chosen, self._left = tuple(bounds.memory), bounds.memory_bytes
        self._limit, self._alive = bounds.text_bytes, alive

    def pieces(self, process: OpenedProcess) -> Iterator[Piece]:
        """Yield the content of each chosen mapping, and a list of them; nothing if none is."""
        if not self._chosen:
            return
        at = f"processes/{process.id.pid}"
        maps, whole = process.read("maps", self._limit)
        lines = maps.decode("utf-8", "surrogateescape").splitlines()
        rows: list[dict[str, Any]] = []
        for mapping in map(Mapping.parse, lines if whole else lines[:-1]):
            if not mapping.wanted(self._chosen):
                continue
            size = mapping.end - mapping.start
            content = process.memory(mapping.start, min(size, self._left), self._alive)
            self._left -= len(content)
            note = "" if len(content) == size else f"{size - len(content)} bytes are left out"
            span = f"{mapping.start:x}-{mapping.end:x}"
            rows.append(
                {
                    "span": span,
                    "permissions": mapping.permissions,
                    "mapping": mapping.name,
                    "bytes": len(content),
                }
            )
            yield Piece(f"{at}/memory/{span}", content, note)
        yield Piece.json(f"{at}/memory.json", rows, "" if whole else "the list is cut short")
