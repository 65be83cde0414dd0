"""The daemon, and how it and its host are."""

from pathlib import Path
from typing import Annotated, Final

import typer

from agent.cli.options import AsJson, ConfigFile, colour, emit

_HEALTH: Final = {"healthy": 0, "degraded": 1, "unhealthy": 2}


def add(app: typer.Typer) -> None:
    """Offer these commands."""
    app.command(
        epilog=(
            "Exit codes: 0 stopped when asked; 2 the kernel cannot run it; 6 another agent runs on "
            "these paths; 77 privileges missing; 78 bad configuration."
        )
    )(run)
    app.command(epilog="Exit codes: 0 healthy, 1 degraded, 2 unhealthy or blind, 3 not running.")(
        status
    )
    app.command(epilog="Exit codes: 0 everything works, 1 with limits, 2 the agent cannot run.")(
        doctor
    )


def run(config: ConfigFile = None) -> None:
    """Run the agent in the foreground, until SIGTERM.

    SIGHUP reads the configuration again.
    """
    from agent.config import load
    from agent.log import log

    settings = load(config)
    log.configure(settings.agent.log_level)
    from agent.doctor import demand, needs

    demand(needs())
    from agent.daemon import run as run_daemon

    run_daemon(settings, lambda: load(config))


def status(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show health, workloads, losses and cost.

    Asks the running agent; answers in a fraction of a second.
    """
    from agent.config import load
    from agent.control import request
    from agent.render.status import status_text

    answer = request(load(config).paths.run, "status", timeout_s=5.0)
    emit(answer, "" if as_json else status_text(answer, colour=colour()), as_json=as_json)
    raise typer.Exit(_HEALTH.get(answer["health"], 2))


def doctor(
    *,
    live: Annotated[
        bool,
        typer.Option(
            "--live", help="Also do one of everything, and name the eye that did not see it."
        ),
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the findings there too, as JSON.")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what this host allows, and what to do about it.

    Kernel, privileges and GPU: each is tried, none is guessed from a version number.
    """
    from agent.config import load
    from agent.doctor import examine

    result = examine(load(config), live=live)
    if report is not None:
        _write(report, result.as_json())
    emit(result.as_json(), "" if as_json else result.text(colour=colour()), as_json=as_json)
    raise typer.Exit(result.exit_code)


def _write(path: Path, value: object) -> None:
    import json

    from agent.errors import AgentError

    try:
        path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise AgentError(f"The report cannot be written to {path}: {error.strerror}") from error
