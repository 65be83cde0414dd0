"""Drills: what would be caught, tried on a live server."""

from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.options import AsJson, ConfigFile, colour, emit


def add(app: typer.Typer) -> None:
    """Offer these commands."""
    group = typer.Typer(help="Harmless attacks and their look-alikes.", no_args_is_help=True)
    group.callback()(_group)
    group.command("list", epilog="Exit codes: 0.")(list_)
    group.command(
        epilog="Exit codes: 0 all as expected; 1 otherwise; 3 the agent is not running; 4 no such "
        "drill or workload; 5 the baseline does not guard in time."
    )(run)
    group.command(epilog="Exit codes: 0 all was as expected; 1 otherwise, or none was run yet.")(
        report
    )
    app.add_typer(group, name="drill")


def _group() -> None:
    """Harmless simulated attacks and legitimate look-alikes, and what is caught."""


def list_(*, as_json: AsJson = False) -> None:
    """List every drill: what it does and what is expected."""
    from agent.drills.catalogue import DRILLS
    from agent.render.drills import drill_table

    found = [drill.as_json() for drill in DRILLS.values()]
    emit(found, "" if as_json else drill_table(found), as_json=as_json)


def run(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME…]", help="Only these; none: all.")
    ] = None,
    *,
    workload: Annotated[
        str | None,
        typer.Option(
            metavar="W", help="A server of yours: only what is done from outside it is run."
        ),
    ] = None,
    wait: Annotated[
        str, typer.Option(metavar="SPAN", help="How long the baseline may take to be ready.")
    ] = "30m",
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Have each drill recorded there, for `agent eval recordings`."
        ),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Drill a server while the agent watches.

    Without --workload, a small test server of the drills' own is started on loopback, learned,
    drilled and removed. The agent responds as it is configured to.
    """
    from agent.cli.times import span_s
    from agent.config import load
    from agent.drills.catalogue import DRILLS
    from agent.drills.recordings import Recordings
    from agent.drills.runner import keep
    from agent.errors import UnknownError

    settings = load(config)
    for name in names or ():
        if name not in DRILLS:
            raise UnknownError("drill", name)
    chosen = [DRILLS[name] for name in names] if names else list(DRILLS.values())
    recordings = Recordings(settings.paths.run, record)
    if workload is None:
        found, name = _on_own_server(settings, chosen, span_s(wait), recordings)
    else:
        chosen = [drill for drill in chosen if drill.outside]
        found, name = _on_theirs(settings, chosen, workload, recordings), workload
    _finish(keep(settings.paths.state, name, found), as_json=as_json)


def report(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Print what the last run of drills gave."""
    from agent.config import load
    from agent.drills.runner import latest

    _finish(latest(load(config).paths.state), as_json=as_json)


def _on_own_server(
    settings: Any,  # noqa: ANN401  (imported late, as what follows)
    drills: list[Any],
    wait_s: float,
    recordings: Any,  # noqa: ANN401
) -> tuple[list[Any], str]:
    import signal
    import sys

    from agent.drills.recordings import NORMAL, ORDINARY_S
    from agent.drills.rig import Rig
    from agent.drills.runner import Runner

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the server must not outlive us
    with Rig(settings.paths.run, _note) as rig:
        rig.learn(wait_s)
        if recordings:
            with recordings.kept(NORMAL, "ordinary"):
                rig.live(ORDINARY_S)
        runner = Runner(_record_of(settings), rig.name, rig.pid, rig, recordings)
        return runner.run(drills, _told), rig.name


def _on_theirs(
    settings: Any,  # noqa: ANN401  (imported late, as what follows)
    drills: list[Any],
    name: str,
    recordings: Any,  # noqa: ANN401
) -> list[Any]:
    from agent.control import request
    from agent.drills.runner import Runner
    from agent.errors import UnknownError

    watched = {one["name"]: one for one in request(settings.paths.run, "workloads")}
    if name not in watched or not watched[name]["roots"]:
        raise UnknownError("workload", name)
    pid = watched[name]["roots"][0]
    return Runner(_record_of(settings), name, pid, None, recordings).run(drills, _told)


def _record_of(settings: Any) -> Path:  # noqa: ANN401  (Settings, imported late)
    path: Path = settings.paths.state / "events.db"
    return path


def _told(outcome: Any) -> None:  # noqa: ANN401  (an Outcome, imported late)
    word = "as expected" if outcome.as_expected else "NOT as expected"
    _note(f"{outcome.name}: {outcome.level or 'quiet'}, {word}")


def _note(line: str) -> None:
    import sys

    sys.stderr.write(f"{line}\n")


def _finish(document: dict[str, Any], *, as_json: bool) -> None:
    from agent.render.drills import matrix

    emit(document, "" if as_json else matrix(document, colour=colour()), as_json=as_json)
    raise typer.Exit(0 if document["as_expected"] == len(document["drills"]) else 1)
