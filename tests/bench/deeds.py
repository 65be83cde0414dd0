"""Small C programs that do one cheap thing many times, and the empty program as their floor."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from probes.errors import ProbeError
from probes.libbpf import Object
from tests.bench.rig import HERE, run
from tests.demo.commands import CommandError

EMPTY = HERE / "empty.bpf.c"


class Program:
    """A C program at its gate. `pid` is whom to watch."""

    def __init__(self, directory: Path, source: str) -> None:
        """Compile and start it; CommandError when it cannot be compiled."""
        program = directory / source
        if not program.exists():
            run("gcc", "-O2", "-Wall", "-Wextra", "-o", program, HERE / f"{source}.c")
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.pid = int(self._line())

    def ns_per_deed(self, deed: str, count: int) -> float:
        """Have it do something so often; returns nanoseconds for each."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{deed} {count}\n")
        self._process.stdin.flush()
        return int(self._line()) / count

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def empty(directory: Path, pins: Path) -> Iterator[Path]:
    """Attach the empty program as long as the context lasts; gives where it is pinned.

    Raises:
        CommandError: clang is missing, or the kernel refuses it.
    """
    compiled, pin = directory / "empty.bpf.o", pins.with_name(f"{pins.name}-empty")
    if not compiled.exists():
        run("clang", "-O2", "-g", "-target", "bpf", "-c", EMPTY, "-o", compiled)
    try:
        opened = Object(compiled)
        opened.load()
        link = opened.attach("on_nothing")
        link.pin(pin)
    except ProbeError as error:
        raise CommandError(f"the empty program: {error}") from error
    try:
        yield pin
    finally:
        pin.unlink()
        link.close()
        opened.close()
