"""Workloads the operator names, and whether a process is one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from collectors.engines import match
from collectors.engines.match import Images
from collectors.processes import Process


@dataclass(frozen=True, slots=True)
class ConfiguredWorkload:
    """A workload named by the operator.

    `match` keys, all given must hold: exe (path, or name without a slash; globs), cmdline (regular
    expression on the joined arguments), unit, cgroup (path or what lies below), image (glob), port
    (int), library (regular expression on mapped files' names).
    """

    name: str
    match: Mapping[str, str | int]

    def meets(self, process: Process, images: Images, *, yet: bool = False) -> bool:
        """Return whether every given condition holds.

        Args:
            process: The one in question.
            images: Of containers.
            yet: But for what holds only once a server is up: its port, its libraries.
        """
        # Cheapest first: `all` stops at the first condition that fails.
        return bool(self.match) and all(
            _CONDITIONS[key](process, self.match[key], images)
            for key in MATCH_KEYS
            if key in self.match and not (yet and key in _LATE)
        )

    @property
    def told(self) -> str:
        """The conditions in words."""
        return ", ".join(f"{key} {value}" for key, value in self.match.items())


def within(path: str, cgroup: str) -> bool:
    """Return whether a cgroup path is this cgroup or lies below it."""
    return path == cgroup or path.startswith(cgroup.rstrip("/") + "/")


def _exe(process: Process, asked: str | int, _: Images) -> bool:
    name = process.exe if "/" in str(asked) else process.exe_name
    return fnmatchcase(name, str(asked))


def _unit(process: Process, asked: str | int, _: Images) -> bool:
    return process.unit in {asked, f"{asked}.service"}


def _cmdline(process: Process, asked: str | int, _: Images) -> bool:
    return bool(match.compiled(str(asked)).search(process.line))


# Cheapest first.
_CONDITIONS: Mapping[str, Callable[[Process, str | int, Images], bool]] = {
    "exe": _exe,
    "cmdline": _cmdline,
    "cgroup": lambda process, asked, _: within(process.cgroup, str(asked)),
    "unit": _unit,
    "image": lambda process, asked, images: match.image_matches(
        (str(asked),), images.of(process.container)[0]
    ),
    "library": lambda process, asked, _: match.library_mapped((str(asked),), process),
    "port": lambda process, asked, _: asked in process.ports,
}
MATCH_KEYS = tuple(_CONDITIONS)
_LATE = frozenset({"port", "library"})

_Shape = tuple[str, tuple[str, ...], str]


@dataclass(slots=True)
class Starts:
    """What each configured workload's servers were started as.

    A server that starts again does all its start-up before it listens: it is that workload's from
    the beginning, not from the moment its port is open.
    """

    _shapes: dict[str, frozenset[_Shape]] = field(default_factory=dict)

    def note(self, name: str, roots: Iterable[Process]) -> None:
        """Remember servers that met every condition; the latest look counts."""
        self._shapes[name] = frozenset(map(_shape, roots))

    def again(self, rule: ConfiguredWorkload, process: Process, images: Images) -> bool:
        """Return whether a process that does not listen yet was started as its servers were.

        Not where two workloads start alike: which of them it is, its port will tell.
        """
        shape = _shape(process)
        if shape not in self._shapes.get(rule.name, ()) or process.ports:
            return False
        alike = sum(shape in shapes for shapes in self._shapes.values())
        return alike == 1 and rule.meets(process, images, yet=True)


def _shape(process: Process) -> _Shape:
    return process.exe, process.cmdline, process.cgroup
