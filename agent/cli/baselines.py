"""The life of what was learned."""

from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.options import AsJson, ConfigFile, colour, emit

Workload = Annotated[str, typer.Argument(metavar="WORKLOAD", help="Name of the workload.")]


def add(app: typer.Typer) -> None:
    """Offer these commands."""
    group = typer.Typer(help="Show and steer what was learned.", no_args_is_help=True)
    codes = "Exit codes: 0; 3 not running; 4 no such workload; 5 the baseline is not ready."
    group.command("list", epilog="Exit codes: 0.")(list_)
    for command in (show, learn, diff, approve, export, merge, forget):
        group.command(epilog=codes)(command)
    group.command("import", epilog=codes)(import_)
    app.add_typer(group, name="baseline")


def list_(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List the baselines and how far they have come.

    With the agent stopped: those it kept.
    """
    from agent.render.lists import any_table

    rows = _known(config, "baseline_list")
    text = "" if as_json else any_table(rows, "Nothing was learned yet.", colour=colour())
    emit(rows, text, as_json=as_json)


def show(workload: Workload, *, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show what one workload was learned to do."""
    from agent.render.baselines import baseline_page

    found = _known(config, "baseline_show", workload=workload)
    emit(found, "" if as_json else baseline_page(found, colour=colour()), as_json=as_json)


def learn(workload: Workload, *, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Begin to learn this workload anew.

    The old baseline is kept until the new one is ready.
    """
    _ask(config, "baseline_learn", workload=workload)
    emit({"workload": workload}, f"{workload} is learning anew.", as_json=as_json)


def diff(
    workload: Workload,
    other: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="An exported baseline.")
    ] = None,
    *,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what differs from an exported baseline.

    Without a file: what waits for approval.
    """
    content = None if other is None else _read(other)
    _page(_ask(config, "baseline_diff", workload=workload, other=content), as_json=as_json)


def approve(
    workload: Workload,
    items: Annotated[
        list[str] | None, typer.Argument(metavar="[ITEM]…", help="As `agent explain` writes them.")
    ] = None,
    *,
    verdict: Annotated[
        str | None, typer.Option(metavar="ID", help="All that this verdict calls new.")
    ] = None,
    changed: Annotated[
        bool,
        typer.Option("--changed", help="Its new executable or model: guard by the old baseline."),
    ] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Take what was new into the baseline as normal.

    By name, or all that one verdict calls new; or the program or model that runs now.
    """
    if not items and verdict is None and not changed:
        raise typer.BadParameter("name items, or a verdict with --verdict, or give --changed")
    args = {"workload": workload, "items": items or [], "verdict": verdict, "changed": changed}
    answer = _ask(config, "baseline_approve", **args)
    emit(answer, f"{workload}: approved as normal.", as_json=as_json)


def export(
    workload: Workload,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")],
    *,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Write a baseline to a file, sealed with this host's key.

    The public half lies beside it in the state directory, as keys/baselines.pub.
    """
    content: bytes = _ask(config, "baseline_export", workload=workload)
    _write(file, content)
    values = {"workload": workload, "file": str(file), "bytes": len(content)}
    emit(values, f"{file}: {len(content)} bytes.", as_json=as_json)


def import_(
    workload: Workload,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As `export` or `merge` wrote it.")],
    *,
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take it only if this public key signed it (PEM)."),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Take a baseline from a file instead of learning.

    One that was changed after it was signed is refused.
    """
    from agent.models.signing import Checker

    wanted = None if key is None else Checker.load(key).raw
    args = {"workload": workload, "content": _read(file), "key": wanted}
    answer = _ask(config, "baseline_import", **args)
    signer = (answer or {}).get("signed_by")
    words = f"signed by {signer}" if signer else "nobody signed it"
    emit(answer, f"{workload}: baseline taken from {file}, {words}.", as_json=as_json)


def merge(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Exported baselines of one workload.")
    ],
    *,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Where to write the result.")],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Make one baseline of what several replicas learned, in any order.

    The result knows what each of them knows; where it is imported, it is calibrated anew.
    """
    from agent.config import load
    from agent.errors import AgentError
    from agent.models.signing import Signer
    from agent.seal import key_path, seal, unseal
    from detectors.baseline import Baseline
    from detectors.errors import DetectorError
    from detectors.merging import merge as merged

    given = []
    for file in files:
        try:
            given.append(Baseline.from_bytes(unseal(_read(file)).content))
        except DetectorError as error:
            raise AgentError(f"{file}: {error}") from error
    try:
        result = merged(given)
    except DetectorError as error:
        raise AgentError(str(error)) from error
    content = seal(result.to_bytes(), Signer.load_or_make(key_path(load(config).paths.state)))
    _write(to, content)
    values = {"workload": result.workload, "file": str(to), "bytes": len(content)}
    values |= {"windows": result.windows, "items": len(result.repertoire)}
    text = f"{to}: {result.workload}, {result.windows} windows and {len(result.repertoire)} items"
    emit(values, f"{text} of {len(files)} baselines.", as_json=as_json)


def forget(workload: Workload, *, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Delete a baseline.

    The workload learns from nothing when it is seen again.
    """
    answer = _ask(config, "baseline_forget", workload=workload)
    emit(answer, f"{workload}: the baseline is forgotten.", as_json=as_json)


def _known(config: Path | None, op: str, workload: str | None = None) -> Any:  # noqa: ANN401
    """Ask the running agent; where none runs, read what it kept."""
    from agent.config import load
    from agent.control import request
    from agent.errors import NotRunningError

    paths = load(config).paths
    args: dict[str, Any] = {} if workload is None else {"workload": workload}
    try:
        return request(paths.run, op, **args)
    except NotRunningError:
        from agent.cli import stored

        return stored.pages(paths.state) if workload is None else stored.page(paths.state, workload)


def _page(values: dict[str, Any], *, as_json: bool) -> None:
    from agent.render.lists import page

    emit(values, "" if as_json else page(values), as_json=as_json)


def _ask(config: Path | None, op: str, **args: Any) -> Any:  # noqa: ANN401  (what the daemon answers)
    from agent.config import load
    from agent.control import request

    return request(load(config).paths.run, op, **args)


def _read(file: Path) -> bytes:
    from agent.errors import AgentError

    try:
        return file.read_bytes()
    except OSError as error:
        raise AgentError(f"{file} cannot be read: {error.strerror}") from error


def _write(file: Path, content: bytes) -> None:
    from agent.errors import AgentError

    try:
        file.write_bytes(content)
    except OSError as error:
        raise AgentError(f"{file} cannot be written: {error.strerror}") from error
