"""What a Python interpreter runs: the module or script, and what the script imports."""

from __future__ import annotations

import re
from functools import lru_cache

from collectors import procfs
from collectors.processes import Process

SCRIPT_LIMIT = 256 << 10
"""Bytes looked at; imports stand at the beginning."""

_INTERPRETER = re.compile(r"(python|pypy)[0-9.]*[a-z]?")
_WITH_VALUE = frozenset({"-W", "-X", "--check-hash-based-pycs"})
_REMEMBERED_LINE = 4096  # characters: of what a process chose, no more is kept beyond its life
_IMPORT = re.compile(rb"^[ \t]*(?:from|import)[ \t]+([A-Za-z_][A-Za-z0-9_]*)", re.MULTILINE)


def program(process: Process) -> tuple[str, str]:
    """Return the module or script a Python interpreter runs, and what follows it joined by spaces.

    Returns ("", "") when the executable is no interpreter: only then is argv[1] a program.
    """
    if len(process.line) > _REMEMBERED_LINE:
        return _program.__wrapped__(process.exe_name, process.cmdline)
    return _program(process.exe_name, process.cmdline)


@lru_cache(maxsize=1024)  # every rule asks for it at every look
def _program(exe_name: str, cmdline: tuple[str, ...]) -> tuple[str, str]:
    if not _INTERPRETER.fullmatch(exe_name):
        return "", ""
    arguments = list(cmdline[1:])
    while arguments:
        first = arguments.pop(0)
        if first == "-m" and arguments:
            return arguments[0], " ".join(arguments[1:])
        if first == "-c":
            return "-c", " ".join(arguments)
        if first in _WITH_VALUE and arguments:
            arguments.pop(0)
        elif not first.startswith("-"):
            return first, " ".join(arguments)
    return "", ""


def imports(process: Process) -> frozenset[str]:
    """Return the top-level modules that a process's script imports, by its text now.

    Servers that are libraries (LitServe, vLLM's engine) run in scripts of any name. The text is the
    process's own claim: it recognises a server, it clears nobody.
    """
    name, _ = program(process)
    if not name.endswith(".py") or len(name) > _REMEMBERED_LINE:
        return frozenset()
    where = "root" if name.startswith("/") else "cwd"
    path = f"{process.source.root}/{process.pid}/{where}/{name.lstrip('/')}"
    text = procfs.read_regular(path, SCRIPT_LIMIT, process.source.counts) or b""
    return frozenset(found.decode() for found in _IMPORT.findall(text))
