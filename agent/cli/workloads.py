"""What serves models on this host, what it is made of, and how it is run."""

import time
from dataclasses import asdict
from typing import Annotated, Any

import typer

from agent.cli.options import AsJson, ConfigFile, colour, emit


def add(app: typer.Typer) -> None:
    """Offer this command."""
    app.command(epilog="Exit codes: 0; 3 the agent is not running, and --local was not given.")(
        workloads
    )


def workloads(
    *,
    bom: Annotated[
        bool, typer.Option("--bom", help="Print a CycloneDX 1.6 bill of materials, with digests.")
    ] = False,
    local: Annotated[
        bool,
        typer.Option("--local", help="Recognise here, without the agent."),
    ] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what was recognised and why: roles, models, libraries, devices, weaknesses.

    Weaknesses are of how a server is run; none of them needs an attack to be seen.
    """
    from agent.config import load
    from agent.models.bom import bom as to_bom
    from agent.models.census import census, recognised_here
    from agent.models.workload_pages import pages
    from collectors.engines import ConfiguredWorkload, Rulebook
    from collectors.models.digests import DigestCache
    from collectors.processes import snapshot

    settings = load(config)
    rulebook = Rulebook.load(*_directories(settings.paths.workloads))
    table = snapshot()
    rules = [ConfiguredWorkload(one.name, _given(one.match)) for one in settings.workload]
    answer = recognised_here(rulebook, table, rules) if local else _asked(settings.paths.run)
    cache = DigestCache() if bom else None
    found = census(answer, table, rulebook, settings.paths.state, cache)
    if bom:
        emit(to_bom(found, settings.host, time.time_ns()), "", as_json=True)
        return
    emit([page.as_json() for page in found], pages(found, colour=colour()), as_json=as_json)


def _given(match: Any) -> dict[str, str | int]:  # noqa: ANN401  (a Match, imported late)
    return {key: value for key, value in asdict(match).items() if value is not None}


def _asked(run: Any) -> Any:  # noqa: ANN401  (what the daemon answers)
    from agent.control import request

    return request(run, "workloads")


def _directories(path: Any) -> list[Any]:  # noqa: ANN401  (paths)
    return [path] if path.is_dir() else []
