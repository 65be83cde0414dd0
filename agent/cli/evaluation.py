"""How good the product's own detectors are on given data."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.options import AsJson, emit


def add(app: typer.Typer) -> None:
    """Offer these commands."""
    group = typer.Typer(help="Measure the detectors on given data.", no_args_is_help=True)
    group.callback()(_group)
    group.command(epilog="Exit codes: 0; 65 a directory holds no traces.")(traces)
    group.command(epilog="Exit codes: 0; 65 a part is missing or holds no recordings.")(recordings)
    group.command(epilog="Exit codes: 0; 65 a part is missing or holds no recordings.")(prior)
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
    from agent.evaluation.traces import evaluate_traces
    from agent.render.lists import page

    for name, directory in (("--train", train), ("--normal", normal), ("--attack", attack)):
        if not directory.is_dir():
            raise typer.BadParameter(f"{directory} is no directory", param_hint=name)
    result = evaluate_traces(train, normal, attack)
    emit(result, "" if as_json else page(result), as_json=as_json)


def recordings(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Holds normal/ and attack/TECHNIQUE/, as `drill run --record` does."
        ),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Judge our own recordings, technique by technique.

    Each by the baselines in them, and by what recordings of other techniques tell of attacks.
    """
    from agent.evaluation.techniques import evaluate_recordings
    from agent.render.lists import page

    if not directory.is_dir():
        raise typer.BadParameter(f"{directory} is no directory")
    result = evaluate_recordings(directory)
    emit(result, "" if as_json else page(result), as_json=as_json)


def prior(
    directories: Annotated[
        list[Path], typer.Argument(metavar="DIR…", help="As of `eval recordings`.")
    ],
    *,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Where to write it.")],
    as_json: AsJson = False,
) -> None:
    """Learn what attacks look like from recordings.

    The program comes with one that was made so from its own drills.
    """
    from agent.errors import AgentError
    from agent.evaluation.recordings import read_set
    from agent.evaluation.techniques import learn_prior

    sets = [read_set(directory) for directory in directories]
    learnt = learn_prior(
        [one for each in sets for one in each.attacks],
        [one for each in sets for one in each.normal],
    )
    content = learnt.to_bytes()
    try:
        to.write_bytes(content)
    except OSError as error:
        raise AgentError(f"{to} cannot be written: {error.strerror}") from error
    values = {
        "file": str(to),
        "bytes": len(content),
        "recordings": learnt.recordings,
        "sequences": len(learnt.model.words),
    }
    text = f"{to}: {values['sequences']} sequences of {values['recordings']} attacks"
    emit(values, text, as_json=as_json)
