"""Where in a file a scan is: the file itself, or a member of an archive in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from collectors.models.findings import Finding, Severity

DEPTH_MAX = 4  # archives in archives


@dataclass(frozen=True, slots=True)
class Place:
    """A file and, inside archives, the member; `depth` counts the archives around it."""

    path: Path
    part: str = ""
    depth: int = 0

    @property
    def name(self) -> PurePath:
        """What the thing looked at is called."""
        return PurePath(self.part or self.path)

    def inside(self, member: str) -> Place:
        """Return the place of a member."""
        return replace(self, part=f"{self.part}/{member}".lstrip("/"), depth=self.depth + 1)

    def finding(self, rule: str, severity: Severity, words: str) -> Finding:
        """Return a finding of this place."""
        return Finding(self.path, rule, severity, words, self.part)
