"""Is a model directory what was approved? Names everything that is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from agent.models.inventory import (
    Entry,
    MovingModelError,
    Progress,
    UnreadableModelError,
    inventory,
    mounted_over,
    read_entry,
)
from agent.models.manifest import Manifest
from collectors.models.digests import DigestCache

TECHNIQUES: Final = ("AML.T0018.000", "T1565.001")  # model manipulated; stored data manipulated


@dataclass(frozen=True, slots=True)
class Deviation:
    """One name that is not as approved.

    Attributes:
        what: changed, missing, extra, swapped, mode, mounted, unreadable.
    """

    path: str
    what: str
    words: str

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self) | {"techniques": list(TECHNIQUES)}


def verify(
    root: Path, manifest: Manifest, cache: DigestCache, progress: Progress | None = None
) -> list[Deviation]:
    """Compare a directory with its manifest; empty when all of it is as approved.

    Raises:
        UnreadableModelError, MovingModelError: It could not be read; nothing is known then.
    """
    approved = {entry.path: entry for entry in manifest.entries}
    here = {entry.path: entry for entry in inventory(root, cache, progress)}
    found = [Deviation(name, "missing", "it is gone") for name in approved if name not in here]
    for name, entry in here.items():
        if name not in approved:
            found.append(Deviation(name, "extra", _extra(entry)))
        else:
            found += _differences(root, approved[name], entry)
    return sorted(found, key=lambda deviation: deviation.path)


def verify_file(root: Path, name: str, manifest: Manifest, cache: DigestCache) -> list[Deviation]:
    """Compare one file with its manifest, as at its first open; `name` is relative to `root`."""
    known = next((entry for entry in manifest.entries if entry.path == name), None)
    return verify_entry(root, name, known, cache)


def verify_entry(root: Path, name: str, known: Entry | None, cache: DigestCache) -> list[Deviation]:
    """Compare one name with what was approved under it; `known` is None where nothing was."""
    path = root / name
    if known is not None and not path.is_symlink() and not path.exists():
        return [Deviation(name, "missing", "it is gone")]
    try:
        entry = read_entry(root, path, cache)
    except (UnreadableModelError, MovingModelError) as error:
        return [Deviation(name, "unreadable", str(error))]
    if known is None:
        return [Deviation(name, "extra", _extra(entry))]
    return list(_differences(root, known, entry))


def _differences(root: Path, approved: Entry, here: Entry) -> Iterator[Deviation]:
    name = approved.path
    if approved.kind != here.kind:
        words = f"it was a {approved.kind} and is a {here.kind}"
        yield Deviation(name, "swapped", f"{words} to {here.target}" if here.target else words)
    elif approved.target != here.target:
        words = f"it led to {approved.target} and leads to {here.target}"
        yield Deviation(name, "swapped", words)
    if approved.sha256 != here.sha256:
        words = f"sha256 was {approved.sha256 or '-'} and is {here.sha256 or '-'}"
        if approved.size_bytes != here.size_bytes:
            words += f", size was {approved.size_bytes} and is {here.size_bytes}"
        yield Deviation(name, "changed", words)
    if approved.kind == here.kind and approved.mode != here.mode:
        yield Deviation(name, "mode", f"mode was {approved.mode:04o} and is {here.mode:04o}")
    if mounted_over(root / name):
        yield Deviation(name, "mounted", "something is mounted over it")


def _extra(entry: Entry) -> str:
    leads = f" to {entry.target}" if entry.target else ""
    return f"this {entry.kind}{leads} was not there when the directory was approved"
