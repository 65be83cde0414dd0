"""The configuration and the version."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.options import AsJson, ConfigFile, colour, emit

if TYPE_CHECKING:
    from agent.config import Problem


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
    """Report every mistake at once, with key and line, also of operator probes.

    Their C is not compiled: `agent status` tells of what does not.
    """
    from agent.config import DEFAULT_FILE, SettingsError, load
    from agent.operator.directory import mistakes

    chosen = file or config
    try:
        paths, problems = load(chosen).paths, []
    except SettingsError as error:
        paths, problems = error.paths, list(error.problems)
    problems += mistakes(paths.probes)
    if not problems:
        told = f"{chosen or DEFAULT_FILE} is valid."
        emit({"valid": True, "problems": []}, told, as_json=as_json)
        return
    wrong = SettingsError(problems, paths)
    if not as_json:
        raise wrong
    emit({"valid": False, "problems": [_plain(one) for one in problems]}, "", as_json=True)
    raise typer.Exit(wrong.exit_code)


def _plain(problem: "Problem") -> dict[str, Any]:
    return {
        "file": str(problem.origin.file),
        "line": problem.origin.line,
        "key": problem.key,
        "value": problem.value,
        "message": problem.words,
    }


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
