"""How good the product's own detectors are on given data."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.options import AsJson, emit


def add(app: typer.Typer) -> None:
    """Offer these commands."""
    group = typer.Typer(help="Measure the detectors on given data.", no_args_is_help=True)
    group.callback()(_group)
    group.command(epilog="Exit codes: 0; 1 a directory holds no traces.")(traces)
    app.add_typer(group, name="eval")


def _group() -> None:
    """Measure the detectors on given data."""


def traces(
    *,
    train: Annotated[Path, typer.Option(metavar="DIR", help="Normal traces to learn from.")],
    normal: Annotated[Path, typer.Option(metavar="DIR", help="Other normal traces.")],
    attack: Annotated[
        Path, typer.Option(metavar="DIR", help="Attack traces; a file's parent is its type.")
    ],
    as_json: AsJson = False,
) -> None:
    """Judge system-call traces.

    Text files of call numbers or names separated by spaces; directories may nest.
    """
    from agent.evaluate import evaluate_traces
    from agent.render.lists import page

    for name, directory in (("--train", train), ("--normal", normal), ("--attack", attack)):
        if not directory.is_dir():
            raise typer.BadParameter(f"{directory} is no directory", param_hint=name)
    result = evaluate_traces(train, normal, attack)
    emit(result, "" if as_json else page(result), as_json=as_json)
