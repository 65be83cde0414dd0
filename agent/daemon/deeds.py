"""The self-test's own process: waits at its gate, does what it is told, and is gone."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, Self

_PRELUDE: Final = """
import ctypes, json, mmap, os, select, signal, socket, struct, sys, time
where = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    found = libc.syscall(*map(ctypes.c_long, arguments))
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found
def child(act):
    pid = os.fork()
    if pid == 0:
        try:
            act()
        finally:
            os._exit(71)
    return os.waitpid(pid, 0)[1]
def run(program, environment=None, stdin=None):
    def act():
        if stdin is not None:
            os.dup2(stdin, 0)
        os.execve(program, ["true"], environment or {})
    if child(act) != 0:
        raise OSError(2, "the program did not run")
"""

_MAIN: Final = """
failed = {}
for name, deed in json.loads(sys.stdin.readline()):
    try:
        exec(deed, globals())
    except OSError as error:
        failed[name] = str(error)
print(json.dumps(failed), flush=True)
sys.stdin.readline()
"""


class Deeds:
    """The self-test's own process: at its gate until `do`; gone when the block ends."""

    def __init__(self, where: str) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _PRELUDE + _MAIN, where],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.pid = self._process.pid

    def do(self, deeds: Iterable[tuple[str, str]], timeout_s: float) -> dict[str, str]:
        """Do every deed (name, Python); those that this host did not allow, with its words.

        Raises:
            TimeoutError: They took longer.
        """
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.write(json.dumps(list(deeds)).encode() + b"\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], timeout_s)[0]:
            raise TimeoutError(f"the self-test's deeds took longer than {timeout_s:.0f} s")
        failed: dict[str, str] = json.loads(self._process.stdout.readline() or b"{}")
        return failed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # with children that a deed left behind
        self._process.communicate()
