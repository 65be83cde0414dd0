"""Lets a child read processes, and kills it where a process keeps it waiting."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgpack

from agent.confined import MAPPED, confined
from agent.evidence.bounds import Bounds
from agent.evidence.pieces import DONE, MOST_BYTES, PIECE, Piece
from agent.response.containment import ProcessId

_ROOT: Final = Path(__file__).parents[2]
_CHUNK: Final = 1 << 20


def gather(processes: Sequence[ProcessId], bounds: Bounds) -> Iterator[Piece]:
    """Yield what could be read of `processes` within the bounds, and a note for what could not."""
    left = list(processes[: bounds.processes])
    yield from (_not_read(process, "too many processes") for process in processes[len(left) :])
    end = time.monotonic() + bounds.whole_s
    while left:
        done = yield from _read(left, bounds, end)
        left = left[done:]
        if not left:
            return
        if time.monotonic() >= end:
            yield from (_not_read(process, "the time was over") for process in left)
            return
        yield _not_read(left.pop(0), "its reader said no more, and was killed")


def _read(left: Sequence[ProcessId], bounds: Bounds, end: float) -> Generator[Piece, None, int]:
    """Run one reader until it ends or is killed; returns how many processes it finished."""
    done = 0
    program = [sys.executable, "-P", "-m", "agent.evidence.reader"]
    command = [*confined(MAPPED), *program, json.dumps(bounds.as_json())]
    with subprocess.Popen(
        [*command, *map(str, left)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={"PYTHONPATH": str(_ROOT), "LC_ALL": "C.UTF-8"},
    ) as reader:
        try:
            for said in _messages(reader, bounds, end):
                if said[0] == PIECE:
                    yield Piece(*said[1:])
                done += said[0] == DONE
        finally:
            # It may wait inside the kernel for a page that never comes; only this ends it.
            reader.kill()
    return done


def _messages(reader: subprocess.Popen[bytes], bounds: Bounds, end: float) -> Iterator[list[Any]]:
    assert reader.stdout is not None  # noqa: S101 - a pipe was asked for
    unpacker = msgpack.Unpacker(max_buffer_size=MOST_BYTES)
    waiting = select.poll()
    waiting.register(reader.stdout, select.POLLIN)
    while (patience_s := min(bounds.silence_s, end - time.monotonic())) > 0:
        if not waiting.poll(patience_s * 1000):
            return
        chunk = os.read(reader.stdout.fileno(), _CHUNK)
        if not chunk:
            return
        unpacker.feed(chunk)
        yield from unpacker


def _not_read(process: ProcessId, why: str) -> Piece:
    return Piece(f"processes/{process.pid}/not-read", b"", why)
