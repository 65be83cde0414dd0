"""Goes through model directories: every file looked at, links not followed out, bounds kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from collectors.models.findings import Finding, Severity
from collectors.models.place import Place
from collectors.models.scan import scan_path

FILES_MAX: Final = 200_000
# Shared with the ledger: what a file is called that a server loads.
WEIGHTS: Final = frozenset({
    ".safetensors", ".gguf", ".ggml", ".onnx", ".pt", ".pth", ".bin", ".pkl", ".pickle", ".joblib",
    ".ckpt", ".h5", ".keras", ".hdf5", ".npy", ".npz", ".nemo", ".mar", ".plan", ".engine", ".pb",
    ".tflite", ".mlmodel", ".pdparams", ".msgpack",
})  # fmt: skip


@dataclass(slots=True)
class Scan:
    """What was looked at, and what was found."""

    files: int = 0
    size_bytes: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def worst(self) -> Severity | None:
        """The highest severity found."""
        return max((f.severity for f in self.findings), key=lambda s: s.rank, default=None)


def scan_tree(paths: list[Path], progress: Callable[[Path], None] | None = None) -> Scan:
    """Scan files and directories; `progress` is told each file before it is opened."""
    scan = Scan()
    for top in paths:
        if top.is_dir():
            _directory(top, scan, progress)
        else:
            _file(top, scan, progress)
    return scan


def _directory(top: Path, scan: Scan, progress: Callable[[Path], None] | None) -> None:
    real = top.resolve()
    for path in _files(top, scan):
        if scan.files >= FILES_MAX:
            words = f"only {FILES_MAX} files were looked at"
            scan.findings.append(Place(top).finding("unfinished", Severity.WARNING, words))
            return
        if path.is_symlink() and not path.resolve().is_relative_to(real):
            words = f"it leads to {path.resolve()}"
            # Hub caches link snapshots to blobs beside them: those are looked at all the same.
            if not _hub_blob(path):
                scan.findings.append(Place(path).finding("link-outside", Severity.WARNING, words))
                continue
        elif path.is_symlink() and path.is_dir():
            continue  # it is walked where it lies
        _file(path, scan, progress)


def _files(top: Path, scan: Scan) -> Iterator[Path]:
    def refused(error: OSError) -> None:
        words = f"could not be listed: {error.strerror}"
        place = Place(Path(error.filename or top))
        scan.findings.append(place.finding("unread", Severity.WARNING, words))

    for directory, names, files in os.walk(top, onerror=refused, followlinks=False):
        names.sort()
        yield from (path for name in names if (path := Path(directory) / name).is_symlink())
        weights = any(Path(name).suffix in WEIGHTS for name in files)
        for name in sorted(files):
            path = Path(directory) / name
            if name.endswith(".py") and weights:
                words = "an engine told to trust this repository runs it"
                scan.findings.append(Place(path).finding("code-beside", Severity.NOTICE, words))
            yield path


def _hub_blob(path: Path) -> bool:
    """Whether a link is a snapshot of the Hugging Face cache and leads to its own blobs."""
    snapshots = next((p for p in path.absolute().parents if p.parent.name == "snapshots"), None)
    if snapshots is None:
        return False
    return path.resolve().parent == (snapshots.parent.parent / "blobs").resolve()


def _file(path: Path, scan: Scan, progress: Callable[[Path], None] | None) -> None:
    if progress is not None:
        progress(path)
    scan.files += 1
    try:
        found = path.stat()
    except OSError as error:
        words = f"could not be read: {error.strerror}"
        scan.findings.append(Place(path).finding("unread", Severity.WARNING, words))
        return
    # A pipe or a device would hold the scan up, or be changed by being read.
    if not os.path.isfile(path):  # noqa: PTH113 (follows the link, as a loader does)
        words = "it is no regular file"
        scan.findings.append(Place(path).finding("unread", Severity.WARNING, words))
        return
    scan.size_bytes += found.st_size
    scan.findings += scan_path(path)
