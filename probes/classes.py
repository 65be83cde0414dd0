"""What a file is by the end of its name: the table that the kernel guesses by.

A guess counts bytes from the first read on. Who knows more, such as the agent by its rules for
secrets, overwrites the class of one file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from probes.maps import BpfMap
    from probes.schema import Schema

WEIGHTS: Final = frozenset({
    ".safetensors", ".gguf", ".ggml", ".onnx", ".pt", ".pth", ".bin", ".pkl", ".pickle", ".joblib",
    ".ckpt", ".h5", ".keras", ".hdf5", ".npy", ".npz", ".nemo", ".mar", ".plan", ".engine", ".pb",
    ".tflite", ".mlmodel", ".pdparams", ".msgpack",
})  # fmt: skip
"""What a file is called that a server loads."""

SUFFIXES: Final[dict[str, frozenset[str]]] = {
    "FILE_WEIGHTS": WEIGHTS,
    "FILE_CODE": frozenset({
        ".py", ".pyc", ".pyi", ".so", ".js", ".mjs", ".jar", ".class", ".sh", ".pl",
        ".rb", ".lua", ".wasm", ".cubin", ".ptx", ".fatbin", ".hsaco",
    }),
    "FILE_CONFIG": frozenset({
        ".json", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".properties", ".pbtxt",
        ".xml", ".jinja",
    }),
    "FILE_SECRET": frozenset({
        ".pem", ".key", ".p12", ".pfx", ".ppk", ".jks", ".keystore", ".kdbx", ".asc", ".gpg",
        ".keytab", ".env",
    }),
    "FILE_LOG": frozenset({".log", ".journal"}),
    "FILE_TEMP": frozenset({".tmp", ".swp", ".part", ".lock"}),
}  # fmt: skip


def by_suffix(path: str) -> str | None:
    """The class that the kernel takes from a name; None where its place or size decides."""
    suffix = _suffix(path)
    return next((name for name, known in SUFFIXES.items() if suffix in known), None)


def _suffix(path: str) -> str:
    name = path.rpartition("/")[2]
    before, dot, after = name.rpartition(".")
    del before
    return f".{after.lower()}" if dot else ""


def teach(suffixes: BpfMap, schema: Schema) -> None:
    """Writes the table into the kernel.

    Raises:
        ProbeError: the map refuses it.
    """
    width, classes = schema.limit("SUFFIX_BYTES"), schema.enum("file_class")
    for name, known in SUFFIXES.items():
        value = np.array([classes[name]], "<u4").tobytes()
        for suffix in known:
            suffixes.set(suffix[1:].encode().rjust(width, b"\0"), value)
