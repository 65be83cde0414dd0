"""Whether one process meets a rule's conditions."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from collectors.engines.schema import When
from collectors.engines.scripts import imports, program
from collectors.processes import Process
from collectors.procfs import ReadCounts, read

_CONFIG_LIMIT = 4 << 20


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return a rule's regular expression; `re` itself forgets after 512."""
    return re.compile(pattern)


@dataclass(slots=True)
class Images:
    """Names of container images, from what Docker and containerd keep on disk about a container."""

    root: Path = Path("/")
    counts: ReadCounts = field(default_factory=ReadCounts)
    _known: dict[str, tuple[str, str]] = field(default_factory=dict)

    def of(self, container: str) -> tuple[str, str]:
        """Return (image, container name); ("", "") when this host does not tell."""
        if not container:
            return "", ""
        if container not in self._known:
            self._known[container] = self._docker(container) or self._containerd(container)
        return self._known[container]

    def _docker(self, container: str) -> tuple[str, str] | None:
        path = self.root / "var/lib/docker/containers" / container / "config.v2.json"
        table = self._json(path)
        config = table.get("Config")
        image = config.get("Image") if isinstance(config, dict) else None
        return (str(image), str(table.get("Name", "")).lstrip("/")) if image else None

    def _containerd(self, container: str) -> tuple[str, str]:
        path = self.root / "run/containerd/io.containerd.runtime.v2.task/k8s.io" / container
        notes = self._json(path / "config.json").get("annotations")
        if not isinstance(notes, dict):
            return "", ""
        prefix = "io.kubernetes.cri."
        return str(notes.get(prefix + "image-name", "")), str(
            notes.get(prefix + "container-name", "")
        )

    def _json(self, path: Path) -> dict[str, object]:
        try:
            found = json.loads(read(str(path), _CONFIG_LIMIT, self.counts) or b"{}")
        except ValueError:
            self.counts.failed += 1
            return {}
        return found if isinstance(found, dict) else {}


def holds(when: When, process: Process, images: Images) -> bool:
    """Return whether every given condition holds; the dear ones are looked at last."""
    return (
        _names(when, process)
        and (not when.imports or not imports(process).isdisjoint(when.imports))
        and (not when.unit or bool(compiled(when.unit).search(process.unit)))
        and (not when.image or image_matches(when.image, images.of(process.container)[0]))
        and (not when.library or library_mapped(when.library, process))
        and (not when.device or _device_open(when.device, process))
        and (not when.file or _file_held(when.file, process))
        and (not when.port or not process.ports.isdisjoint(when.port))
        and (not when.listens or bool(process.ports))
    )


def _names(when: When, process: Process) -> bool:
    if when.exe and not any(fnmatchcase(process.exe_name, glob) for glob in when.exe):
        return False
    if when.exe_path and not compiled(when.exe_path).search(process.exe):
        return False
    if when.program or when.arguments:
        name, rest = program(process)
        if when.program and not any(_program_is(name, glob) for glob in when.program):
            return False
        if when.arguments and not compiled(when.arguments).search(rest):
            return False
    if when.title and not compiled(when.title).search(next(iter(process.cmdline), "")):
        return False
    return not when.cmdline or bool(compiled(when.cmdline).search(process.line))


def _program_is(name: str, glob: str) -> bool:
    return fnmatchcase(name, glob) or fnmatchcase(name, "*/" + glob)


def library_mapped(patterns: tuple[str, ...], process: Process) -> bool:
    """Return whether a mapped file's name matches one of these regular expressions."""
    names = process.mapped_names
    return any(any(map(compiled(pattern).search, names)) for pattern in patterns)


def image_matches(globs: tuple[str, ...], image: str) -> bool:
    """Return whether an image's name, without tag and digest, matches one of the globs."""
    name = image.partition("@")[0]
    head, _, last = name.rpartition("/")
    name = f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]
    short = name.removeprefix("docker.io/").removeprefix("library/")
    return bool(name) and any(fnmatchcase(name, glob) or fnmatchcase(short, glob) for glob in globs)


def _device_open(globs: tuple[str, ...], process: Process) -> bool:
    return any(fnmatchcase(file.target, glob) for file in process.open_files for glob in globs)


def _file_held(patterns: tuple[str, ...], process: Process) -> bool:
    paths = [file.path for file in process.mapped] + [file.target for file in process.open_files]
    return any(compiled(pattern).search(path) for path in paths for pattern in patterns)
