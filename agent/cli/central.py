"""The central collector and the questions it answers."""

from typing import Annotated, Any

import typer

from agent.cli.options import AsJson, ConfigFile, MinLevel, Since, check_level, colour, emit


def add(app: typer.Typer) -> None:
    """Offer these commands."""
    app.command(
        epilog="Exit codes: 0 stopped when asked; 5 no key yet; 6 another central runs here."
    )(central)
    group = typer.Typer(help="Ask the central of this machine.", no_args_is_help=True)
    group.command(epilog="Exit codes: 0; 3 no central runs here.")(hosts)
    group.command(epilog="Exit codes: 0; 3 no central runs here.")(verdicts)
    app.add_typer(group, name="fleet")


def central(*, config: ConfigFile = None) -> None:
    """Run the central collector, until SIGTERM."""
    from agent.config import load
    from agent.log import log

    settings = load(config)
    log.configure(settings.agent.log_level)
    from agent.central import CentralSettings, serve

    told = CentralSettings(
        bind=settings.central.bind,
        store=settings.central_store,
        run=settings.paths.run,
        keys=settings.paths.state / "keys",
        keep_days=settings.central.keep_days,
        silent_after_s=settings.central.silent_after_s,
    )
    serve(told)


def hosts(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List the hosts that report, and which are silent."""
    from agent.render.lists import any_table

    rows = _ask(config, "hosts")
    text = "" if as_json else any_table(rows, "No host has reported yet.", colour=colour())
    emit(rows, text, as_json=as_json)


def verdicts(
    *,
    since: Since = None,
    host: Annotated[str | None, typer.Option(metavar="H", help="Only those of this host.")] = None,
    workload: Annotated[
        str | None, typer.Option(metavar="W", help="Only those of this workload.")
    ] = None,
    min_level: MinLevel = "info",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The newest so many.")] = 1000,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List what all hosts concluded, oldest first."""
    import time

    from agent.cli.times import since_ns
    from agent.render.verdicts import verdict_table

    given = {"host": host, "workload": workload, "min_level": check_level(min_level)}
    arguments: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    arguments |= {"since_ns": since_ns(since, time.time_ns()), "limit": limit}
    found = _ask(config, "verdicts", **arguments)
    text = "" if as_json else verdict_table(found, colour=colour(), hosts=True)
    emit(found, text, as_json=as_json)


def _ask(config: ConfigFile, question: str, **arguments: Any) -> Any:  # noqa: ANN401  (an answer)
    from agent.central import SOCKET_NAME, ask
    from agent.config import load

    return ask(load(config).paths.run / SOCKET_NAME, question, **arguments)
