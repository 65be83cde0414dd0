"""Reads model files for the daemon, in a program of its own: digests, and looks for code in them.

One request a line on standard input, one answer a line on standard output. It runs at a low
priority, of the disk too: unless told otherwise the kernel takes a task's I/O priority from its
nice value (include/linux/ioprio.h, task_nice_ioprio), and serving comes first.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from collectors.models.digests import ChangedError, read_digest

NICE: Final = 10
"""A tenth of a contended core: a server waits little for it, and it still comes to an end."""

TOLD_BYTES: Final = 64 << 20
"""Between two words of progress."""


def digest(path: Path, progress: Callable[[int], None]) -> dict[str, Any]:
    """The SHA-256 of a file and the state that it was read in."""
    found, state = read_digest(path, progress)
    return {"sha256": found, "state": list(state)}


def code(path: Path, _progress: Callable[[int], None]) -> dict[str, Any]:
    """What in a file would run when it is loaded: the words of each danger."""
    from collectors.models.findings import Severity  # noqa: PLC0415 - half of them never scan
    from collectors.models.scan import scan_path  # noqa: PLC0415

    found = [one for one in scan_path(path) if one.severity is Severity.DANGER]
    return {"dangers": [f"{one.part}: {one.words}".removeprefix(": ") for one in found]}


_WORK: Final[dict[str, Callable[[Path, Callable[[int], None]], dict[str, Any]]]] = {
    "digest": digest,
    "code": code,
}


def answer(request: dict[str, str], told: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Do one request; what cannot be read is an answer too, and why."""
    waiting = 0

    def progress(size: int) -> None:
        nonlocal waiting
        waiting += size
        if waiting >= TOLD_BYTES:
            told({"read_bytes": waiting})
            waiting = 0

    try:
        found = _WORK[request["work"]](Path(request["path"]), progress)
    except ChangedError:
        return {"problem": "it changes while it is read"}
    except OSError as error:
        return {"problem": error.strerror or str(error)}
    return {**found, "left_bytes": waiting}


def main() -> None:
    """Answer until standard input ends."""
    os.nice(NICE)

    def told(plain: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(plain) + "\n")
        sys.stdout.flush()

    for line in sys.stdin:
        told(answer(json.loads(line), told))


if __name__ == "__main__":
    main()
