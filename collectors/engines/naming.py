"""Names of recognised workloads: the same after a restart, since a baseline hangs on the name."""

from __future__ import annotations

import hashlib
import re

from collectors.engines.match import Images
from collectors.engines.schema import Engine
from collectors.processes import Process

EPHEMERAL_PORT = 32_768  # ports from here on are drawn, and name nothing


def name(engine: Engine, root: Process, images: Images) -> tuple[str, str]:
    """Return (name, key), the same after a restart: unit, container, port, else arguments."""
    if engine.one_per_host:
        return engine.name, f"host:{engine.name}"
    if is_service(root):
        return _joined(engine.name, root.unit.removesuffix(".service")), f"unit:{root.unit}"
    if root.container:
        container = images.of(root.container)[1] or _digest(root)
        return _joined(engine.name, container), f"container:{container}"
    port = _asked_port(engine, root)
    if port:
        return f"{engine.name}-{port}", f"port:{engine.name}:{port}"
    digest = _digest(root)
    return f"{engine.name}-{digest}", f"cmdline:{engine.name}:{digest}"


def is_service(process: Process) -> bool:
    """Return whether a process runs in a system service of its own, not in a user's session."""
    return process.unit.endswith(".service") and not process.unit.startswith("user@")


def _joined(engine: str, name: str) -> str:
    return name if engine in name else f"{engine}-{name}"


def _digest(root: Process) -> str:
    told = "\0".join((root.exe, *root.cmdline)).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(told, digest_size=3).hexdigest()


def _asked_port(engine: Engine, root: Process) -> int | None:
    """Return the main port: as asked for, else the engine's own, else the lowest it listens on."""
    told = " ".join(root.cmdline)
    for option in engine.port_options:
        if found := re.search(rf"(?:^|\s){re.escape(option)}[=\s](\d{{1,5}})(?:\s|$)", told):
            return int(found.group(1))
    if engine.ports:
        return engine.ports[0]
    return min((port for port in root.ports if port < EPHEMERAL_PORT), default=None)
