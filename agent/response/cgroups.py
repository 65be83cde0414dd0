"""The cgroup v2 freezer and killer, for workloads that have a cgroup of their own.

Documentation/admin-guide/cgroup-v2.rst: `cgroup.freeze` stops a whole subtree,
those who are forking included; `cgroup.events` says when that is complete.
`cgroup.kill` needs Linux 5.14.
"""

import os
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.errors import AgentError
from agent.powers import raised

POLL_S: Final = 0.0005


class ThawError(AgentError):
    """The cgroup {0} stays frozen: {1}. `echo 0 > {0}/cgroup.freeze`, then release again."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One v2 cgroup.

    Attributes:
        mount: Where cgroup v2 is mounted.
        path: Below the mount, with a leading slash.
    """

    mount: Path
    path: str

    @property
    def directory(self) -> Path:
        """Where its files are."""
        return self.mount / self.path.lstrip("/")

    def members(self) -> frozenset[int] | None:
        """Return every process of the subtree; None if that cannot be said (gone, or threaded)."""
        found: set[int] = set()
        for directory, _, _ in os.walk(self.directory):
            try:
                found.update(
                    map(int, Path(directory, "cgroup.procs").read_text(encoding="ascii").split())
                )
            except OSError:
                return None
        return frozenset(found) if found else None

    def frozen_by_request(self) -> bool:
        """Return whether somebody asked for it to be frozen."""
        return self._read("cgroup.freeze").strip() == "1"

    def frozen(self) -> bool:
        """Return whether every process of it has stopped."""
        return "frozen 1" in self._read("cgroup.events")

    def freeze(self, timeout_s: float) -> bool:
        """Freeze it; returns whether all had stopped in time. Raises OSError if it refuses."""
        self._write("cgroup.freeze", "1")
        give_up = time.monotonic() + timeout_s
        while not self.frozen():
            if time.monotonic() > give_up:
                return False
            time.sleep(POLL_S)
        return True

    def thaw(self) -> None:
        """Let it run again; one that is gone is no error. Raises ThawError if it refuses."""
        try:
            self._write("cgroup.freeze", "0")
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise ThawError(self.directory, error.strerror) from error

    def kill(self) -> None:
        """SIGKILL everything in it, at once. Raises OSError if it refuses or knows no such file."""
        self._write("cgroup.kill", "1")

    def _read(self, name: str) -> str:
        try:
            return (self.directory / name).read_text(encoding="ascii")
        except OSError:
            return ""

    def _write(self, name: str, value: str) -> None:
        with raised("dac_override"):  # it may have been delegated to another user
            fd = os.open(self.directory / name, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)


def mount_point(mountinfo: str) -> Path | None:
    """Return where cgroup v2 is mounted, None if nowhere.

    Args:
        mountinfo: The text of /proc/self/mountinfo, proc(5).
    """
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        if right.startswith("cgroup2 "):
            return Path(left.split()[4].encode().decode("unicode_escape"))
    return None


def common_cgroup(mount: Path, paths: Collection[str]) -> Cgroup | None:
    """Return the smallest cgroup around all of `paths`.

    None for the root, and for what lies outside our cgroup namespace.
    """
    if not paths or not all(path.startswith("/") and ".." not in path for path in paths):
        return None
    common = os.path.commonpath(paths)
    return None if common == "/" else Cgroup(mount, common)
