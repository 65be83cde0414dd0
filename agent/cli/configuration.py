"""The configuration and the version."""

from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.options import AsJson, ConfigFile, colour, emit


def add(app: typer.Typer) -> None:
    """Offer these commands."""
    group = typer.Typer(help="Check the configuration, or show it.", no_args_is_help=True)
    group.command(epilog="Exit codes: 0 valid, 78 not.")(check)
    group.command(epilog="Exit codes: 0; 78 the configuration is wrong.")(show)
    app.add_typer(group, name="config")
    app.command()(version)


def check(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Which one.")] = None,
    *,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Report every mistake at once, with key and line."""
    from agent.config import DEFAULT_FILE, SettingsError, load

    chosen = file or config
    try:
        load(chosen)
    except SettingsError as error:
        if not as_json:
            raise
        problems = [
            {
                "file": str(problem.origin.file),
                "line": problem.origin.line,
                "key": problem.key,
                "value": problem.value,
                "message": problem.words,
            }
            for problem in error.problems
        ]
        emit({"valid": False, "problems": problems}, "", as_json=True)
        raise typer.Exit(error.exit_code) from error
    emit({"valid": True, "problems": []}, f"{chosen or DEFAULT_FILE} is valid.", as_json=as_json)


def show(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show the settings in force, and where each came from."""
    from agent.config import load
    from agent.config.show import effective
    from agent.render.table import table

    rows = effective(load(config))
    values: dict[str, Any] = {row.key: {"value": row.value, "origin": row.origin} for row in rows}
    lines = [(row.key, row.shown, row.origin) for row in rows]
    text = "" if as_json else table(("key", "value", "from"), lines, colour=colour())
    emit(values, text, as_json=as_json)


def version(*, as_json: AsJson = False) -> None:
    """Show version, probe interface and commit."""
    from agent import VERSION
    from agent.build import commit, probe_abi

    values = {"version": VERSION, "abi": probe_abi(), "commit": commit()}
    text = f"inferward {VERSION} (probe ABI {values['abi']}, commit {values['commit']})"
    emit(values, text, as_json=as_json)
