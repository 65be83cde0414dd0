"""How fast model files are read and digested for the daemon, against the hash alone."""

import hashlib
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from agent.daemon.readers import Answer, Reading
from tests.bench.figures import AT_LEAST, Figure, Goal

STEP = 1 << 20
OF_HASH = Goal(AT_LEAST, 0.8)


def alone_s(path: Path) -> float:
    """Seconds that SHA-256 takes here, over a file that lies in memory."""
    began = time.monotonic()
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")
    return time.monotonic() - began


def daemon_s(path: Path) -> tuple[float, int]:
    """Seconds until the daemon has the digest, its program's start included; words of progress."""
    reading, done, steps = Reading(), threading.Event(), set[int]()
    found: list[Answer] = []

    def then(answer: Answer) -> None:
        found.append(answer)
        done.set()

    began = time.monotonic()
    reading.ask("digest", path, then)
    while not done.wait(0.02):
        steps.add(reading.read_bytes)
    took_s = time.monotonic() - began
    reading.close()
    assert "sha256" in found[0], found[0]
    return took_s, len(steps - {0})


def measure(pairs: int, size_bytes: int) -> Iterator[Figure]:
    """Read one file by turns; both find it in memory, so that the disk is out of it."""
    with tempfile.TemporaryDirectory(prefix="inferward-bench-") as at:
        path = Path(at) / "model.safetensors"
        with path.open("wb") as file:
            for _ in range(size_bytes // STEP):
                file.write(bytes(STEP))
        alone_s(path)
        turns = [(alone_s(path), *daemon_s(path)) for _ in range(pairs)]
    share = median(alone / mine for alone, mine, _ in turns)
    rate = median(size_bytes / mine for _, mine, _ in turns)
    told = min(words for *_, words in turns)
    note = f"a file of {size_bytes >> 20} MiB in memory, {pairs} pairs, progress told {told} times"
    yield Figure("model file digested for the daemon / hash alone", share, "", OF_HASH, note)
    yield Figure(
        "the same, bytes a second", rate, "B/s", note="at nice 10, in a program of its own"
    )
