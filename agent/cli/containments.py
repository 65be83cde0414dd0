"""Acting and undoing by hand; with the daemon dead, through the journal and the pinned maps."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from agent.cli.options import AsJson, ConfigFile, colour, emit

_NO_LOGIN: Final = 0xFFFFFFFF  # what the kernel says of a process that nobody logged in for


def add(app: typer.Typer) -> None:
    """Offer these commands."""
    app.command(
        epilog="Exit codes: 0 done; 4 no such workload; 6 refused by the breaker or a guard rail."
    )(contain)
    app.command(epilog="Exit codes: 0 released; 4 no such containment.")(release)
    app.command(epilog="Exit codes: 0.")(containments)


def contain(
    target: Annotated[str, typer.Argument(help="Name of a watched workload.")],
    *,
    level: Annotated[
        str,
        typer.Option(
            help="limit: an upload budget; contain: no new connections; freeze: also stop every "
            "thread; kill: end them."
        ),
    ],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the journal.")],
    for_: Annotated[
        str | None,
        typer.Option("--for", metavar="SPAN", help="Until it ends by itself: 10m, 2h."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also with the breaker open; guard rails stay.")
    ] = False,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="With kill: freeze, collect evidence, then kill.")
    ] = False,
    public_mib: Annotated[
        float | None,
        typer.Option(
            min=0.001, help="With limit: MiB an hour to public addresses, instead of [upload]."
        ),
    ] = None,
    cut_clients: Annotated[
        bool | None,
        typer.Option(
            "--cut-clients/--keep-clients",
            help="From contain on: connections that clients opened, instead of response.clients.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Limit, contain, freeze or kill a workload.

    Every process of it, and those it will start. Works with the agent stopped, too.
    """
    from agent.cli.times import span_s
    from agent.config import load

    _check(level, public_mib, evidence=evidence)
    settings = load(config)
    if dry_run:
        emit(*_rehearse(settings, target, level, force), as_json=as_json)
        return
    for_s = settings.response.contain_for_s if for_ is None else span_s(for_)
    args: dict[str, Any] = {"target": target, "level": level, "for_s": for_s, "reason": reason}
    args |= {"who": _operator(), "force": force}
    args |= _extent(settings, target, level, public_mib, cut_clients)
    if evidence:
        _preserve(settings, _contain(settings, args | {"level": "freeze"}))
    done = _contain(settings, args)
    emit(done, f"{target}: {level} is done. Undo: {done['undo']}", as_json=as_json)


def release(
    containment: Annotated[
        str | None, typer.Argument(metavar="ID", help="Of the containment.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Release all there are.")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Give back what was contained.

    Processes run on, connections are allowed again. Works with the agent stopped, too.
    """
    from agent.config import load

    if (containment is None) != everything:
        raise typer.BadParameter("name one ID, or give --all")
    released = _release(load(config), containment)
    names = ", ".join(row["workload"] for row in released) or "nothing was contained"
    emit(released, f"Released: {names}.", as_json=as_json)


def containments(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List what is contained now."""
    from agent.config import load
    from agent.render.lists import containment_table

    settings = load(config)
    here = _here(settings)
    _list_stops(here, settings)
    rows = [
        one.as_json() | {"sent": {name: asdict(sent) for name, sent in here.sent(one).items()}}
        for one in here.live()
    ]
    emit(rows, "" if as_json else containment_table(rows, colour=colour()), as_json=as_json)


def _contain(settings: Any, args: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    from agent.control import request
    from agent.errors import NotRunningError
    from agent.response import workloads
    from agent.response.containment import Step

    try:
        done: dict[str, Any] = request(settings.paths.run, "contain", **args)
    except NotRunningError:
        target = workloads.find(settings.paths.run, args["target"])
        step = Step.from_label(args["level"])
        facts = {name: args[name] for name in ("for_s", "reason", "who", "force")}
        facts |= {"upload_bytes": args.get("upload"), "cut_clients": args["cut_clients"]}
        done = _here(settings).contain(target, step, **facts).as_json()
    return done


def _check(level: str, public_mib: float | None, *, evidence: bool) -> None:
    """Raise BadParameter for a step that is none, or options that go with another."""
    if level not in {"limit", "contain", "freeze", "kill"}:
        raise typer.BadParameter("must be limit, contain, freeze or kill", param_hint="--level")
    if public_mib is not None and level != "limit":
        raise typer.BadParameter("goes with --level limit", param_hint="--public-mib")
    if evidence and level != "kill":
        raise typer.BadParameter("goes with --level kill", param_hint="--evidence")


def _extent(
    settings: Any,  # noqa: ANN401
    target: str,
    level: str,
    public_mib: float | None,
    cut_clients: bool | None,
) -> dict[str, Any]:
    """Return how far the step goes: as the command says, else as the configuration does."""
    from agent.response.limits import MIB, clients_cut, upload_limits

    if level == "limit":
        limits = upload_limits(settings, target)
        if public_mib is not None:
            limits["public"] = int(public_mib * MIB)
        return {"upload": limits, "cut_clients": False}
    cut = clients_cut(settings, target) if cut_clients is None else cut_clients
    return {"cut_clients": cut}


def _rehearse(settings: Any, target: str, level: str, force: bool) -> tuple[dict[str, Any], str]:  # noqa: ANN401
    """Return what a step would do, as facts and in words; nobody has to be asked for it."""
    from agent.response import workloads
    from agent.response.containment import Step

    found = workloads.find(settings.paths.run, target)
    would = _here(settings).rehearse(found, Step.from_label(level), force=force).as_json()
    if would["refused"]:
        return would, f"Nothing would be done. {would['refused']}"
    pids = ", ".join(map(str, would["processes"])) or "none"
    where = f"; cgroup {would['cgroup']}" if would["cgroup"] else ""
    return would, f"{target}: {level} would reach these processes: {pids}{where}. Nothing was done."


def _preserve(settings: Any, held: dict[str, Any]) -> None:  # noqa: ANN401
    """Collect evidence about what is frozen now."""
    from agent.evidence import Bounds, collect
    from agent.evidence.subject import find
    from agent.store import Store

    paths, here = settings.paths, _here(settings)
    with Store.open(paths.state / "events.db") as store:
        switch = _switch(paths.pins)
        subject = find(held["id"], store, here.list(), paths.run, switch)
        bounds = Bounds(memory=settings.response.evidence_memory)
        bundle = collect(subject, store, paths.state, bounds).sealed.path
    typer.echo(f"Evidence: {bundle}", err=True)


def _release(settings: Any, containment: str | None) -> list[dict[str, Any]]:  # noqa: ANN401
    from agent.control import request
    from agent.errors import NotRunningError

    try:
        args: dict[str, Any] = {"id": containment, "all": containment is None}
        released: list[dict[str, Any]] = request(settings.paths.run, "release", **args)
    except NotRunningError:
        here = _here(settings)
        _list_stops(here, settings)
        given = here.release_all() if containment is None else [here.release(containment)]
        return [one.as_json() for one in given]
    return released


def _list_stops(here: Any, settings: Any) -> None:  # noqa: ANN401
    """List whom the kernel stopped by itself while no agent was there to do so."""
    from agent.response import workloads

    names = {one.workload_id: name for name, one in workloads.read(settings.paths.run).items()}
    here.note_stops(names, settings.response.contain_for_s)


def _here(settings: Any) -> Any:  # noqa: ANN401  (Settings and Containments, imported late)
    """Open the journal and, where an agent has pinned it, the kernel's switch."""
    from agent.response.breaker import Breaker
    from agent.response.containments import Containments

    bounds = settings.response
    breaker = Breaker(bounds.breaker_count, bounds.breaker_minutes * 60)
    return Containments(settings.paths.state, _switch(settings.paths.pins), breaker=breaker)


def _switch(pins: Path) -> Any:  # noqa: ANN401  (a PinnedSwitch, imported late)
    if not (pins / "contained").exists():
        return None
    from agent.response.pinned import PinnedSwitch
    from probes import loader, schema

    return PinnedSwitch.open(pins, schema.load(loader.OBJECT))


def _operator() -> str:
    """Return who logged in, also behind sudo: the name goes into the journal."""
    import os
    import pwd

    login = Path("/proc/self/loginuid")
    uid = int(login.read_text(encoding="ascii")) if login.exists() else _NO_LOGIN
    try:
        return pwd.getpwuid(os.getuid() if uid == _NO_LOGIN else uid).pw_name
    except KeyError:
        return f"uid {uid}"
