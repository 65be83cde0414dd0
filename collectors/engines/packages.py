"""Which Python distributions a process can load, by the metadata beside the libraries it mapped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collectors.procfs import ReadCounts

_SITE: Final = re.compile(r"^(.*/(?:site|dist)-packages)/([^/]+)")
_DIST: Final = re.compile(r"(?P<name>.+?)-(?P<version>\d[^-]*)(-py[\d.]+)?\.(dist|egg)-info")
_NUMBERS: Final = re.compile(r"(?:\d+!)?(\d+(?:\.\d+)*)")
_TOPS_LIMIT: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Distribution:
    """One installed distribution. `mapped`: a file of it is in the process's memory."""

    name: str
    version: str
    directory: str
    mapped: bool


def normal(name: str) -> str:
    """Return a distribution's name as PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def site_packages(paths: Iterable[str]) -> dict[str, set[str]]:
    """Return the package directories among mapped paths, with the first names below each."""
    found: dict[str, set[str]] = {}
    for path in paths:
        if match := _SITE.match(path):
            found.setdefault(match[1], set()).add(match[2])
    return found


def distributions(
    directory: str, tops: set[str], there: Path, counts: ReadCounts
) -> list[Distribution]:
    """Return what is installed in a package directory.

    Args:
        directory: As the process names it.
        tops: First names of what is mapped below it.
        there: Where it lies from here.
        counts: Gains what could not be read.
    """
    try:
        names = sorted(entry.name for entry in there.iterdir())
    except OSError as error:
        counts.note(error)
        return []
    found = []
    for entry in names:
        match = _DIST.fullmatch(entry)
        if match:
            mapped = _is_mapped(there / entry, match["name"], tops)
            found.append(Distribution(normal(match["name"]), match["version"], directory, mapped))
    return found


def _is_mapped(info: Path, name: str, tops: set[str]) -> bool:
    own = {normal(name)}
    try:
        with (info / "top_level.txt").open(encoding="utf-8", errors="replace") as stream:
            own |= {normal(line.strip()) for line in stream.read(_TOPS_LIMIT).splitlines()}
    except OSError:
        pass  # few have it; the name itself is the usual answer
    plain = {normal(top.partition(".")[0]) for top in tops}
    # Wheels keep their bundled libraries in NAME.libs beside the package.
    bundled = {normal(top.removesuffix(".libs")) for top in tops}
    return not own.isdisjoint(plain | bundled)


def release(version: str) -> tuple[int, ...]:
    """Return the release numbers of a version (PEP 440), without what follows them."""
    found = _NUMBERS.match(version.lstrip("v"))
    numbers = [int(part) for part in found[1].split(".")] if found else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def affected(version: str, since: str, fixed: str) -> bool:
    """Return whether `since` <= version < `fixed`; an unreadable version is not judged."""
    numbers = release(version)
    return bool(numbers) and release(since) <= numbers < release(fixed)
