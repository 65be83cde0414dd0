"""Options and output that all commands share."""

import json
import sys
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Configuration, instead of /etc/inferward/agent.toml."
    ),
]
AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON document instead of text for people.")
]
Since: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="T", help="From then on: 10m, 2h, 3d ago, or a date such as 2026-05-01T10:00."
    ),
]
MinLevel: TypeAlias = Annotated[
    str, typer.Option(metavar="L", help="info, low, medium, high or critical.")
]

_debug = False


def remember_debug(
    *,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where in the program a failure happened.")
    ] = False,
) -> None:
    """Watches AI inference processes, explains how they deviate, and contains them."""
    global _debug  # noqa: PLW0603  (one process runs one command)
    _debug = debug


def debug() -> bool:
    """Return whether `--debug` was given."""
    return _debug


def colour() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout.isatty()


def emit(value: object, text: str, *, as_json: bool) -> None:
    """Print `value` as one JSON document, or `text` for people."""
    sys.stdout.write((json.dumps(value, default=str) if as_json else text) + "\n")


def check_level(level: str) -> str:
    """Return `level`; raises typer.BadParameter for any other word."""
    from agent.store.levels import LEVELS

    if level not in LEVELS:
        raise typer.BadParameter(f"must be one of {', '.join(LEVELS)}", param_hint="--min-level")
    return level
