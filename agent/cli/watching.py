"""Watching what no rule knows."""

from typing import Annotated, Any

import typer

from agent.cli.options import AsJson, ConfigFile, emit


def add(app: typer.Typer) -> None:
    """Offer these commands."""
    app.command(epilog="Exit codes: 0 watched; 3 not running; 4 no such process, unit or cgroup.")(
        watch
    )
    app.command(epilog="Exit codes: 0 no longer watched; 3 not running; 4 no such workload.")(
        unwatch
    )


def watch(
    *,
    name: Annotated[str, typer.Option(metavar="NAME", help="What to call the workload.")],
    pid: Annotated[
        int | None, typer.Option(min=2, help="A process; its children belong to it.")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="A systemd unit.")] = None,
    cgroup: Annotated[str | None, typer.Option(help="Path of a cgroup.")] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Watch what no rule recognises.

    A process and its children, a systemd unit, or a cgroup.
    """
    targets: dict[str, Any] = {"pid": pid, "unit": unit, "cgroup": cgroup}
    given = {kind: value for kind, value in targets.items() if value is not None}
    if len(given) != 1:
        raise typer.BadParameter("name exactly one of --pid, --unit and --cgroup")
    ((kind, target),) = given.items()
    answer = _ask(config, "watch", name=name, **given)
    emit(answer, f"{name} is watched: {kind} {target}.", as_json=as_json)


def unwatch(
    name: Annotated[str, typer.Argument(help="The workload's name.")],
    *,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Stop watching what `agent watch` began.

    Its baseline is kept.
    """
    answer = _ask(config, "unwatch", name=name)
    emit(answer, f"{name} is no longer watched; its baseline is kept.", as_json=as_json)


def _ask(config: ConfigFile, op: str, **args: Any) -> Any:  # noqa: ANN401  (what the daemon answers)
    from agent.config import load
    from agent.control import request

    return request(load(config).paths.run, op, **args)
