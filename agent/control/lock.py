"""One daemon per set of paths: a second one is refused by the name of the first."""

import contextlib
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

from agent.errors import ConfigError, PrivilegeError, RefusedError

_FILE: Final = "agent.lock"
_MAX_PID_BYTES: Final = 16


class AlreadyRunningError(RefusedError):
    """Process {0} is already running on {1}: stop it first, or give this one its own [paths]."""


class UnusablePathError(ConfigError):
    """The directory {0} cannot be used: {1}."""


class Lock:
    """Holds `agent.lock` in every given directory until closed or until the process ends.

    The kernel lets go of the lock with the process, so a crash never leaves one behind.
    """

    def __init__(self, directories: Iterable[Path]) -> None:
        """Take all locks or none.

        Raises:
            AlreadyRunningError: Another process holds one of them.
            PrivilegeError: This user may not write there.
            UnusablePathError: A directory cannot be made or is none.
        """
        self._held: list[int] = []
        try:
            for directory in directories:
                self._take(directory)
        except BaseException:
            self.close()
            raise

    def _take(self, directory: Path) -> None:
        try:
            directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            lock = os.open(directory / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except PermissionError as error:
            raise PrivilegeError(f"Writing {directory}") from error
        except OSError as error:
            raise UnusablePathError(directory, error.strerror) from error
        self._held.append(lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(lock, _MAX_PID_BYTES, 0).decode("ascii", "replace").strip()
            raise AlreadyRunningError(holder or "unknown", directory) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode("ascii"), 0)

    def close(self) -> None:
        """Let go of every lock."""
        while self._held:
            with contextlib.suppress(OSError):
                os.close(self._held.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
