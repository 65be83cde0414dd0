"""What servers rightly do and what resembles an attack. Some of it belongs to learned life."""

from __future__ import annotations

import importlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
from typing import Final

from agent.drills import changes
from agent.drills.acts import Act, run
from agent.drills.place import Place


def metrics(_place: Place) -> None:
    """Run the program that collects metrics, as every minute."""
    run("/bin/true")


def helper(_place: Place) -> None:
    """Start a helper of the same interpreter, as worker pools do."""
    subprocess.run([sys.executable, "-I", "-S", "-c", ""], check=False, timeout=5.0)


def download(place: Place) -> None:
    """Fetch from the hub it always fetches from."""
    with socket.create_connection(("127.0.0.1", place.hub), 3.0) as line:
        line.sendall(b"get\n")


def rotate(place: Place) -> None:
    """Rename the log and begin a new one."""
    log = place.logs / "access.log"
    if log.exists():
        log.replace(place.logs / "access.log.1")
    log.write_text("begun\n", "utf-8")


def swap(place: Place) -> None:
    """Load another version of the model, then the old one again."""
    for version in ("v2", "v1"):
        (place.model.parent.parent / version / "model.bin").read_bytes()


def lazy_imports(_place: Place) -> None:
    """Import modules that only this request needs."""
    for name in ("wave", "colorsys", "mailbox", "plistlib"):
        importlib.import_module(name)


def temporary_files(_place: Place) -> None:
    """Write and remove temporary files."""
    for _ in range(5):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"0" * 4096)


def more_threads(_place: Place) -> None:
    """Serve with eight more threads for a moment."""
    threads = [threading.Thread(target=time.sleep, args=(1.0,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def name_service(_place: Place) -> None:
    """Ask the host's own name service."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.connect(("127.0.0.53", 53))


def reload(place: Place) -> None:
    """Read the model again, five times."""
    for _ in range(5):
        place.model.read_bytes()


def host_facts(_place: Place) -> None:
    """Read what telemetry reads of a host."""
    for path in ("/proc/meminfo", "/proc/cpuinfo", "/etc/os-release", "/proc/loadavg"):
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - as telemetry does it
            file.read()


LEARNED: Final[dict[str, Act]] = {
    "metrics": metrics,
    "helper": helper,
    "download": download,
    "log-rotation": rotate,
    "hot-swap": swap,
}
"""Part of the server's life, so done while it is learned, too."""

ACTS: Final[dict[str, Act]] = (
    LEARNED
    | changes.LOOKALIKES
    | {
        "lazy-imports": lazy_imports,
        "temporary-files": temporary_files,
        "more-threads": more_threads,
        "name-service": name_service,
        "reload": reload,
        "host-facts": host_facts,
    }
)
