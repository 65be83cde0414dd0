"""What was concluded: read from this host's own record, so also with the daemon dead."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from agent.cli.options import AsJson, ConfigFile, MinLevel, Since, check_level, colour, emit

_POLL_S: Final = 0.5
_SHOWN: Final = 1000


def add(app: typer.Typer) -> None:
    """Offer these commands."""
    app.command(epilog="Exit codes: 0; 3 nothing was ever recorded here.")(verdicts)
    app.command(
        epilog="Exit codes: 0; 1 the page cannot be written; 3 nothing was ever recorded here; "
        "4 no such verdict."
    )(explain)


def verdicts(
    *,
    since: Since = None,
    workload: Annotated[
        str | None, typer.Option(metavar="W", help="Only those of this workload.")
    ] = None,
    min_level: MinLevel = "info",
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on, one JSON document per line, until stopped.")
    ] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List what was concluded, oldest first.

    Read from this host's own record, so also with the agent stopped; the newest 1000.
    """
    from agent.cli.times import since_ns
    from agent.config import load
    from agent.render.verdicts import verdict_table
    from agent.store import Store

    check_level(min_level)
    start_ns = since_ns(since, time.time_ns())
    with Store.read(load(config).paths.state / "events.db") as store:
        last = store.last_entry()
        found = store.verdicts(start_ns, workload, min_level, _SHOWN)
        if follow:
            _lines(found)
            _follow(store, last, workload, min_level)
    emit(found, "" if as_json else verdict_table(found, colour=colour()), as_json=as_json)


def explain(
    verdict_id: Annotated[
        str, typer.Argument(metavar="ID", help="Of the verdict; its first characters suffice.")
    ],
    *,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write one web page that needs nothing else; - prints it."
        ),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Explain one verdict in full.

    What was new, what differs from what was learned, who did it, what was done, how to undo it.
    """
    from agent.config import load
    from agent.render.verdicts import explanation
    from agent.store import Store

    with Store.read(load(config).paths.state / "events.db") as store:
        verdict = store.verdict(verdict_id)
    if html is not None:
        _write_page(html, verdict, as_json=as_json)
        return
    emit(verdict, "" if as_json else explanation(verdict, colour=colour()), as_json=as_json)


def _write_page(file: Path, verdict: dict[str, Any], *, as_json: bool) -> None:
    from agent.errors import AgentError
    from agent.render.verdict_page import verdict_page

    page = verdict_page(verdict)
    if str(file) == "-":
        emit({"id": verdict["id"], "html": page}, page.rstrip(), as_json=as_json)
        return
    try:
        file.write_text(page, "utf-8")
    except OSError as error:
        raise AgentError(f"{file} cannot be written: {error.strerror}") from error
    emit({"id": verdict["id"], "file": str(file)}, f"{file}: written.", as_json=as_json)


def _follow(store: Any, last: int, workload: str | None, min_level: str) -> None:  # noqa: ANN401
    """Print verdicts as they come, for ever; `store` is a Store, imported late."""
    from agent.store import level_rank

    while True:
        for entry, verdict in store.after(last):
            last = entry
            fits = workload in {None, verdict["workload"]}
            if fits and level_rank(verdict["level"]) >= level_rank(min_level):
                _lines([verdict])
        time.sleep(_POLL_S)


def _lines(found: Iterable[dict[str, Any]]) -> None:
    import json
    import sys

    for verdict in found:
        sys.stdout.write(json.dumps(verdict) + "\n")
    sys.stdout.flush()
