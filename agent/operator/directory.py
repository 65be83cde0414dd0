"""The operator's probes on disk: which there are, and which may run in the kernel."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.config import Origin, Problem
from agent.operator.declaration import Declaration, DeclarationError, parse

MOST_BYTES: Final = 256 * 1024
"""Of one file: BCC's own examples are all below 32 KiB."""

_ROOT: Final = 0


class FileRefusedError(Exception):
    """{0} {1}."""

    def __init__(self, path: Path, words: str) -> None:
        """Keep the file, for `agent config check`."""
        self.problem = Problem("", None, words, Origin(path, 1))
        super().__init__(f"{path} {words}")


@dataclass(frozen=True, slots=True)
class Found:
    """One probe as it lies on disk.

    Attributes:
        name: Of its files, without the ending.
        source: The C text.
        declaration: None where it cannot be used.
        why: It cannot; "" where it can.
        problems: The same, one by one.
    """

    name: str
    source: str = ""
    declaration: Declaration | None = None
    why: str = ""
    problems: tuple[Problem, ...] = ()


def look(directory: Path) -> list[Found]:
    """Every probe of a directory, by name; a directory that is missing has none."""
    if not directory.is_dir():
        return []
    names = {path.stem for path in directory.iterdir() if path.suffix in {".c", ".toml"}}
    return [_look_at(directory, name) for name in sorted(names)]


def mistakes(directory: Path) -> list[Problem]:
    """Every mistake of every probe of a directory; a probe that is not enabled has them, too."""
    return [problem for found in look(directory) for problem in found.problems]


def _look_at(directory: Path, name: str) -> Found:
    try:
        _demand_safe(directory, directory.lstat())
        declaration = parse(directory / f"{name}.toml", _read(directory / f"{name}.toml"))
        return Found(name, _read(directory / f"{name}.c"), declaration)
    except FileRefusedError as error:
        return Found(name, why=str(error), problems=(error.problem,))
    except DeclarationError as error:
        why = "; ".join(str(problem) for problem in error.problems)
        return Found(name, why=why, problems=error.problems)


def _read(path: Path) -> str:
    """Read a file that only root can have written.

    Raises:
        FileRefusedError: It is not there, somebody else may change it, or it is no text.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise FileRefusedError(path, "is missing") from error
    except OSError as error:
        raise FileRefusedError(path, f"cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        _demand_safe(path, facts)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > MOST_BYTES:
            raise FileRefusedError(path, f"is no regular file of at most {MOST_BYTES >> 10} KiB")
        try:
            return file.read(MOST_BYTES).decode("utf-8")
        except UnicodeDecodeError as error:
            raise FileRefusedError(path, "is not UTF-8") from error


def _demand_safe(path: Path, facts: os.stat_result) -> None:
    """Refuse what others could have written: it is code that runs in the kernel.

    Raises:
        FileRefusedError: It is not root's, or group or others may write it.
    """
    if facts.st_uid != _ROOT:
        raise FileRefusedError(path, "is not root's: it would run in the kernel; chown root it")
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise FileRefusedError(path, "is writable by others than root: chmod go-w it")
