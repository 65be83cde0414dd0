"""What a file is, by every rule the agent has: better than the kernel's guess at its name."""

import re
from functools import lru_cache
from typing import Final

from collectors.models.artifacts import is_weights
from detectors.sensitive import sensitivity
from detectors.window import Item, ItemKind
from probes.classes import by_suffix

WEIGHTS: Final = "FILE_WEIGHTS"
_SECRETS: Final = frozenset(
    {"private-key", "cloud-credentials", "service-account", "hub-token", "environment-file"}
    | {"named-secret", "password-store"}
)
_NAMED: Final = re.compile(r"/(?:weights|checkpoint|pytorch_model|adapter_model)[^/.]*$")
_OF_THE_SYSTEM: Final = re.compile(
    r"^/(?!usr/local/|usr/share/ollama/)(?:usr|lib\w*|s?bin|etc|boot)/"
)
_GPU: Final = re.compile(r"/dev/nvidia(?:\d+|-uvm)$")
_VERSIONED_LIBRARY: Final = re.compile(r"\.so(?:\.\d+)+$")
_SHARED_MEMORY: Final = "/dev/shm/"  # noqa: S108 - what is made there is what we look for


@lru_cache(maxsize=8192)
def class_of(path: str) -> str | None:
    """The class of a regular file in `enum file_class`; None where the kernel's guess stands."""
    found = sensitivity(Item(ItemKind.FILE, path, "", 0, 0))
    if found is not None and found.name in _SECRETS:
        return "FILE_SECRET"
    if _VERSIONED_LIBRARY.search(path):
        return "FILE_CODE"
    if not _OF_THE_SYSTEM.search(path) and (is_weights(path) or _NAMED.search(path)):
        return WEIGHTS
    # Data of installed code is no model, and a certificate that anybody may read no key.
    return "FILE_OTHER" if by_suffix(path) in {WEIGHTS, "FILE_SECRET"} else None


def is_private(path: str) -> bool:
    """Whether nobody but its workload has to open this: weights, shared memory, a GPU."""
    return class_of(path) == WEIGHTS or path.startswith(_SHARED_MEMORY) or is_gpu(path)


def is_gpu(path: str) -> bool:
    """Whether a path is the device file of a GPU, or of its memory."""
    return bool(_GPU.match(path))


def is_shared_memory(path: str) -> bool:
    """Whether a path is a POSIX shared memory object, or memory without a name."""
    return path.startswith((_SHARED_MEMORY, "/memfd:"))
