"""A live view of the workloads."""

import json
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, Final

import typer

from agent.cli.options import ConfigFile, colour

_CLEAR: Final = "\x1b[H\x1b[2J"
_QUIT: Final = frozenset("qQ\x03\x04")


def add(app: typer.Typer) -> None:
    """Offer this command."""
    app.command(epilog="Exit codes: 0 ended by q, Ctrl-C or --once; 3 not running.")(top)


def top(
    *,
    once: Annotated[bool, typer.Option("--once", help="Show one snapshot and end.")] = False,
    interval_s: Annotated[
        float, typer.Option("--interval", min=0.2, metavar="S", help="Seconds between snapshots.")
    ] = 1.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document per snapshot and line.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Show live what every workload is asked, answers and uses.

    Requests, time to the first byte, errors, bytes, processor, memory, GPU, losses and the last
    verdict. q or Ctrl-C ends it; where the output is no terminal, it is one snapshot.
    """
    from agent.config import load
    from agent.control import request
    from agent.render.top import screen, snapshot

    run_dir, live = load(config).paths.run, sys.stdout.isatty()
    in_place = live and os.environ.get("TERM", "dumb") != "dumb"
    with _keys() as quit_within:
        while True:
            shown = snapshot(request(run_dir, "status", timeout_s=5.0), time.time_ns())
            if as_json:
                text = json.dumps(shown, default=str)
            else:
                width = shutil.get_terminal_size((200, 50)).columns
                text = screen(shown, columns=width, colour=colour() and in_place)
                text = (_CLEAR if in_place and not once else "") + text
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
            if once or not (live or as_json) or quit_within(interval_s):
                return


@contextmanager
def _keys() -> "Iterator[_Wait]":
    """Read single keys while this lasts; the terminal is given back as it was."""
    wait = _Wait()
    before = signal.signal(signal.SIGTERM, wait.end), signal.signal(signal.SIGINT, wait.end)
    if not sys.stdin.isatty():
        wait.stdin = False
        try:
            yield wait
        finally:
            _give_back(before)
        return
    import termios
    import tty

    terminal = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield wait
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, terminal)
        _give_back(before)


def _give_back(before: tuple[object, object]) -> None:
    for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
        signal.signal(number, handler)  # type: ignore[arg-type]


class _Wait:
    """Waits for the next snapshot, or for the end."""

    def __init__(self) -> None:
        self.stdin = True
        self._read, self._write = os.pipe()

    def end(self, _number: int, _frame: FrameType | None) -> None:
        """Asked to end by a signal."""
        os.write(self._write, b"q")

    def __call__(self, seconds: float) -> bool:
        """Return whether to end, at the latest after so many seconds."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            sources = [self._read, *([sys.stdin.fileno()] if self.stdin else [])]
            ready, _, _ = select.select(sources, [], [], left)
            if self._read in ready:
                return True
            if ready and set(os.read(ready[0], 64).decode("ascii", "replace") or "q") & _QUIT:
                return True
        return False
