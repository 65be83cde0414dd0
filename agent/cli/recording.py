"""Recording what the detectors are given, and judging it again."""

from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.options import AsJson, ConfigFile, colour, emit


def add(app: typer.Typer) -> None:
    """Offer these commands."""
    app.command(
        epilog="Exit codes: 0; 1 records were lost, or the file cannot be made; 3 not running; "
        "6 another recording is under way."
    )(record)
    app.command(epilog="Exit codes: 0; 1 no recording, or one that is damaged or cut off.")(replay)


def record(
    file: Annotated[Path, typer.Argument(help="Where to; must not exist yet.")],
    *,
    for_: Annotated[str, typer.Option("--for", metavar="SPAN", help="How long.")] = "60s",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Record what the running agent sees of every workload.

    The agent writes the file; ^C ends it early. The baselines at the start are part of it.
    """
    import time
    from contextlib import suppress

    from agent.cli.times import span_s
    from agent.config import load
    from agent.control import request

    run_dir, seconds = load(config).paths.run, span_s(for_)
    request(run_dir, "record_start", path=str(file.absolute()), for_s=seconds)
    with suppress(KeyboardInterrupt):
        time.sleep(seconds)
    written = request(run_dir, "record_stop")
    words = f"{written['file']}: {written['records']} records, {written['bytes']} bytes"
    if written["lost"]:
        words += f"; {written['lost']} records were lost {written['failure']}".rstrip()
    emit(written, words, as_json=as_json)
    raise typer.Exit(1 if written["lost"] else 0)


def replay(
    file: Annotated[Path, typer.Argument(help="A recording.")],
    *,
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Judge by this exported baseline instead."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge a recording again, with the detectors alone.

    Needs no privileges and no running agent; prints the verdicts that live gave.
    """
    import sys

    from agent.errors import AgentError
    from agent.recording.replay import Replay
    from agent.render.verdicts import verdict_table

    again = Replay(file, None if baseline is None else _baseline(baseline))
    found: list[dict[str, Any]] = []
    damage: AgentError | None = None
    try:
        found.extend(again.verdicts())
    except AgentError as error:
        damage = error
        if not again.counts:
            raise
    if again.lost:
        sys.stderr.write(f"agent: {again.lost} records were lost when this was recorded\n")
    emit(found, "" if as_json else verdict_table(found, colour=colour()), as_json=as_json)
    if damage is not None:
        raise damage


def _baseline(file: Path) -> Any:  # noqa: ANN401  (a Baseline, imported late)
    from agent.errors import AgentError
    from detectors.baseline import Baseline
    from detectors.errors import BaselineCorruptError

    try:
        return Baseline.from_bytes(file.read_bytes())
    except (OSError, BaselineCorruptError) as error:
        raise AgentError(f"{file} is no baseline: {error}") from error
