"""How far another process is with a file, by what it read and what it mapped."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collectors.taking import Taken, taken

SIZE = 1 << 20
READS = "f = open(sys.argv[1], 'rb', 0); f.read(int(sys.argv[2]))"
MAPS = (
    "m = mmap.mmap(os.open(sys.argv[1], 0), 0, prot=1); sum(m[i] for i in range(0, len(m), 4096))"
)
NOTHING = "os.close(os.open(sys.argv[1], 0))"


@contextmanager
def reader(code: str, *words: object) -> Iterator[int]:
    """A process that did this, and waits; its pid."""
    script = f"import mmap, os, sys\n{code}\nprint(1, flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-ISc", script, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
    finally:
        process.communicate(b"")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(bytes(SIZE))
    return path


def identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


@pytest.mark.parametrize("count", [0, 4096, SIZE])
def test_what_was_read_is_the_descriptors_place(model: Path, count: int) -> None:
    with reader(READS, model, count) as pid:
        assert taken(pid, identity(model)) == Taken(count, SIZE)


def test_what_was_mapped_is_what_lies_in_memory(model: Path) -> None:
    with reader(MAPS, model) as pid:
        assert taken(pid, identity(model)) == Taken(SIZE, SIZE)


def test_a_file_that_was_closed_is_nothing(model: Path) -> None:
    with reader(NOTHING, model) as pid:
        assert taken(pid, identity(model)) is None
    assert taken(pid, identity(model)) is None


def test_another_file_is_nothing(model: Path) -> None:
    with reader(READS, model, 10) as pid:
        assert taken(pid, (identity(model)[0], 1)) is None
