"""Workloads the operator names, and whether a process is one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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

    def meets(self, process: Process, images: Images) -> bool:
        """Return whether every given condition holds."""
        # Cheapest first: `all` stops at the first condition that fails.
        return bool(self.match) and all(
            _CONDITIONS[key](process, self.match[key], images)
            for key in MATCH_KEYS
            if key in self.match
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
