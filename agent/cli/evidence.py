"""Evidence and the local log: what is there to be shown to somebody else, and whether it holds."""

from typing import Annotated, Any

import typer

from agent.cli.options import AsJson, ConfigFile, emit


def add(app: typer.Typer) -> None:
    """Offer these commands."""
    app.command(epilog="Exit codes: 0; 4 no such containment or verdict.")(evidence)
    log = typer.Typer(help="The hash-chained log of this host.", no_args_is_help=True)
    log.command(epilog="Exit codes: 0 whole; 1 broken; 3 nothing was ever recorded here.")(verify)
    app.add_typer(log, name="log")


def evidence(
    subject: Annotated[
        str,
        typer.Argument(metavar="ID", help="Of a containment or verdict; its beginning suffices."),
    ],
    *,
    memory: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MAPPING",
            help="Also the memory of a mapping, by its name in /proc/PID/maps: [heap], [stack], "
            "a path or a glob of paths; [anon] for those without a name, [anon-code] for those of "
            "them that may run. Again for more. 64 MiB in all; it holds secrets.",
        ),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Collect what can be known of a workload's processes into a bundle.

    The verdict and those around it, the process tree, and of each process memory map, status,
    descriptors, sockets, environment with secrets masked, digests of executables and mapped files,
    and copies of open files without a name. Works with the agent stopped, too.
    """
    from agent.config import load
    from agent.evidence import Bounds, collect
    from agent.evidence.subject import find
    from agent.store import Store

    paths = load(config).paths
    database = paths.state / "events.db"
    switch = _switch(paths.pins)
    with Store.open(database) as store:
        found = find(subject, store, _containments(paths.state, switch), paths.run, switch)
        done = collect(found, store, paths.state, Bounds(memory=tuple(memory or ())))
    sealed = done.sealed
    text = f"{sealed.path}: {sealed.files} files, {sealed.bytes} bytes, SHA-256 {sealed.sha256}."
    if sealed.incomplete:
        text += f" Of {sealed.incomplete} something is missing: see its manifest."
    if not done.logged:
        text += " The log took no entry of it: is the disk full?"
    emit(done.as_json(), text, as_json=as_json)


def verify(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Check that no entry of the local log was changed, removed or inserted.

    Whoever cuts off its newest entries and knows how the log is kept leaves no trace in it;
    central, which was told of the newest one, sees that.
    """
    from dataclasses import asdict

    from agent.config import load
    from agent.store import Store

    with Store.read(load(config).paths.state / "events.db") as store:
        report = store.chain_verify()
    kept = f"{report.entries} entries, the newest {report.head}"
    text = f"The log is whole: {kept}."
    if not report.whole:
        text = f"The log is broken at entry {report.broken_at}: {report.reason}."
    emit(asdict(report) | {"whole": report.whole}, text, as_json=as_json)
    if not report.whole:
        raise typer.Exit(1)


def _containments(state: Any, switch: Any) -> Any:  # noqa: ANN401  (types imported late)
    from agent.response.containments import Containments

    return Containments(state, switch).list()


def _switch(pins: Any) -> Any:  # noqa: ANN401  (a PinnedSwitch, imported late)
    if not (pins / "contained").exists():
        return None
    from agent.response.pinned import PinnedSwitch
    from probes import loader, schema

    return PinnedSwitch.open(pins, schema.load(loader.OBJECT))
