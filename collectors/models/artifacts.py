"""Which files are model artifacts by their names, and which a process holds or was given."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from collectors.models.walk import WEIGHTS
from collectors.processes import Process

PICKLES: Final = frozenset({".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt", ".joblib"})
_BLOB: Final = re.compile(r"/blobs/(sha256[-:])?[0-9a-f]{40,64}$")
# Files that change what a model does without being weights.
_BESIDE: Final = frozenset({
    "config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json",
    "merges.txt", "special_tokens_map.json", "generation_config.json", "chat_template.json",
    "chat_template.jinja", "adapter_config.json", "modules.json", "config.pbtxt",
    "model_config.yaml", "preprocessor_config.json",
})  # fmt: skip
_NO_MODELS: Final = re.compile(
    r"/(site-packages|dist-packages|lib/python[0-9.]+)/|^/(proc|sys|dev)/"
)
_NAMED_MAX: Final = 500  # files of a directory that a command line names
_NAMED_DEPTH: Final = 4


def is_artifact(path: str) -> bool:
    """Return whether a path is called as model files are: weights, tokenizers, their settings."""
    if _NO_MODELS.search(path):
        return False
    name = PurePosixPath(path)
    if name.suffix.lower() in WEIGHTS or name.name in _BESIDE:
        return True
    return bool(_BLOB.search(path))


def is_weights(path: str) -> bool:
    """Return whether an artifact holds weights, not settings."""
    return is_artifact(path) and PurePosixPath(path).name not in _BESIDE


def format_of(path: str) -> str:
    """Return a file's format by its name: "safetensors", "gguf", ..., "" when it tells none."""
    return "" if _BLOB.search(path) else PurePosixPath(path).suffix.lower().lstrip(".")


@dataclass(frozen=True, slots=True)
class Held:
    """A model file of a process. `how` is mapped, open, or named: by its command line alone."""

    path: str
    how: str
    pid: int


def inside(process: Process, path: str) -> Path:
    """Return where a path of a process lies from here, through its own root directory."""
    return Path(f"{process.source.root}/{process.pid}/root{path}")


def held(process: Process) -> list[Held]:
    """Return the model files a process has mapped or open, or was told of by its arguments.

    A server that reads its weights and closes the file is seen only by the last.
    """
    found = {file.path: "mapped" for file in process.mapped if not file.deleted}
    for file in process.open_files:
        found.setdefault(file.target, "open")
    kept = [Held(path, how, process.pid) for path, how in found.items() if is_artifact(path)]
    known = {one.path for one in kept}
    named = (path for path in _named(process) if path not in known)
    return kept + [Held(path, "named", process.pid) for path in dict.fromkeys(named)]


def _named(process: Process) -> list[str]:
    found: list[str] = []
    for argument in process.cmdline[1:]:
        path = argument.partition("=")[2] if argument.startswith("-") else argument
        if not path.startswith("/"):
            continue
        there = inside(process, path)
        if there.is_dir():
            found += _listed(there, path)
        elif is_artifact(path) and there.is_file():
            found.append(path)
    return found


def _listed(there: Path, path: str) -> list[str]:
    found: list[str] = []
    depth = len(there.parts)
    for directory, names, files in os.walk(there):
        if len(Path(directory).parts) - depth >= _NAMED_DEPTH:
            names.clear()
        below = Path(directory).relative_to(there).as_posix()
        base = path.rstrip("/") + ("" if below == "." else f"/{below}")
        found += [f"{base}/{name}" for name in sorted(files) if is_artifact(f"{base}/{name}")]
        if len(found) >= _NAMED_MAX:
            return found[:_NAMED_MAX]
    return found
