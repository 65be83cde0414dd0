"""The central collector, its keys, and its questions."""

import typer

from agent.cli.options import ConfigFile


def add(app: typer.Typer) -> None:
    """Offer these commands."""
    app.command(epilog="Exit codes: 0 stopped when asked; 77 privileges; 78 bad configuration.")(
        central
    )


def central(*, config: ConfigFile = None) -> None:
    """Run the central collector, until SIGTERM."""
    from agent.config import load
    from agent.log import log

    settings = load(config)
    log.configure(settings.agent.log_level)
    from agent.central import serve

    serve(settings)
