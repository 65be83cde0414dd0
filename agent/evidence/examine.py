"""Everything that /proc shows of one process, as pieces of a bundle."""

import os
from collections.abc import Iterator
from typing import Any, Final

from agent.evidence.files import Files
from agent.evidence.memory import Memory
from agent.evidence.opened import OpenedProcess
from agent.evidence.pieces import Piece
from agent.evidence.secrets import mask_arguments, mask_environment

TEXTS: Final = (
    "status", "stat", "maps", "cgroup", "limits", "io", "loginuid", "mountinfo", "wchan",
)  # fmt: skip
SOCKETS: Final = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "unix", "packet")
_THREAD_TEXTS: Final = ("comm", "syscall", "wchan")
_CUT: Final = "cut short"


def examine(process: OpenedProcess, files: Files, memory: Memory) -> Iterator[Piece]:
    """Yield pieces below `processes/PID/`; a process that dies meanwhile gives what it had."""
    at, limit = f"processes/{process.id.pid}", files.bounds.text_bytes
    for name in TEXTS:
        content, whole = process.read(name, limit)
        yield Piece(f"{at}/{name}", content, "" if whole else _CUT)
    raw, whole = process.read("cmdline", limit)
    words = raw.decode("utf-8", "surrogateescape").rstrip("\0").split("\0")
    yield Piece.json(f"{at}/cmdline.json", mask_arguments(words), "" if whole else _CUT)
    raw, whole = process.read("environ", limit)
    yield Piece.json(f"{at}/environ.json", mask_environment(raw), "" if whole else _CUT)
    yield _threads(process, files)
    yield from _descriptors(process, files)
    yield from _mapped(process, files)
    yield from memory.pieces(process)


def _threads(process: OpenedProcess, files: Files) -> Piece:
    threads = process.names("task")
    facts = [
        {"tid": int(tid)}
        | {
            name: process.read(f"task/{tid}/{name}", 4096)[0].decode("utf-8", "backslashreplace")
            for name in _THREAD_TEXTS
        }
        for tid in threads[: files.bounds.threads]
    ]
    return Piece.json(
        f"processes/{process.id.pid}/threads.json", facts, _missing(threads, len(facts))
    )


def _descriptors(process: OpenedProcess, files: Files) -> Iterator[Piece]:
    at = f"processes/{process.id.pid}"
    numbers = process.names("fd")
    rows: list[dict[str, Any]] = []
    inodes: set[bytes] = set()
    for number in numbers[: files.bounds.descriptors]:
        target = process.target(f"fd/{number}")
        row: dict[str, Any] = {"fd": int(number), "target": target}
        row["info"] = process.read(f"fdinfo/{number}", 4096)[0].decode("ascii", "replace")
        if target.startswith("socket:["):
            inodes.add(os.fsencode(target[8:-1]))
        if target.startswith("/"):
            facts, content = files.describe(process, f"fd/{number}")
            row |= facts
            if content is not None:
                yield Piece(f"{at}/unnamed/fd-{int(number)}", content, facts.get("note", ""))
        rows.append(row)
    yield Piece.json(f"{at}/descriptors.json", rows, _missing(numbers, len(rows)))
    yield _sockets(process, inodes, files.bounds.text_bytes)


def _sockets(process: OpenedProcess, inodes: set[bytes], limit: int) -> Piece:
    """The kernel's tables of the process's own network, only the lines of its sockets."""
    found: dict[str, list[str]] = {}
    note = ""
    for table in SOCKETS:
        content, whole = process.read(f"net/{table}", limit)
        note = note if whole else f"{table}: {_CUT}"
        head, *lines = content.splitlines() or [b""]
        own = [line for line in lines if inodes.intersection(line.split())]
        if own:
            found[table] = [line.decode("utf-8", "backslashreplace") for line in (head, *own)]
    return Piece.json(f"processes/{process.id.pid}/sockets.json", found, note)


def _mapped(process: OpenedProcess, files: Files) -> Iterator[Piece]:
    at = f"processes/{process.id.pid}"
    facts, content = files.describe(process, "exe")
    rows: list[dict[str, Any]] = [{"mapping": "exe"} | facts]
    seen = {(facts.get("device"), facts.get("inode"))}
    if content is not None:
        yield Piece(f"{at}/unnamed/exe", content, facts.get("note", ""))
    # The kernel's links to the mapped files themselves: a path may be another file's by now.
    for number, span in enumerate(process.names("map_files")):
        facts, content = files.describe(process, f"map_files/{span}")
        key = (facts.get("device"), facts.get("inode"))
        if key in seen:
            continue
        seen.add(key)
        rows.append({"mapping": span} | facts)
        if content is not None:
            yield Piece(f"{at}/unnamed/map-{number}", content, facts.get("note", ""))
    yield Piece.json(f"{at}/files.json", rows)


def _missing(all_of: list[str], taken: int) -> str:
    return f"{len(all_of) - taken} more are left out" if len(all_of) > taken else ""
