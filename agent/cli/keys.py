"""The keys that a host and central know each other by."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from agent.cli.options import AsJson, ConfigFile, colour, emit

Role = Annotated[str, typer.Argument(metavar="[host|central]", help="What the key is for.")]
Host = Annotated[str, typer.Argument(metavar="HOST", help="Name of the host.")]


def add(app: typer.Typer) -> None:
    """Offer these commands."""
    group = typer.Typer(help="Make, show and allow CURVE keys.", no_args_is_help=True)
    group.command(epilog="Exit codes: 0; 6 there is one already, it is not replaced.")(new)
    group.command(epilog="Exit codes: 0.")(show)
    group.command(epilog="Exit codes: 0; 1 no key; 6 host or key is already allowed.")(allow)
    group.command(epilog="Exit codes: 0; 4 no such host is allowed.")(revoke)
    app.add_typer(group, name="keys")


def new(
    role: Role = "host",
    *,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Instead of this host's name.")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Make this machine's key pair, for its host agent or for central.

    Prints the public half; the secret one never leaves the state directory.
    """
    from agent.config import load
    from agent.keys import KeyStore

    settings = load(config)
    key = KeyStore(settings.paths.state / "keys").new(role, name or settings.host)
    emit(asdict(key), key.public, as_json=as_json)


def show(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show public keys: own ones, and those allowed at central."""
    from agent.render.table import table

    keys = _store(config).show()
    rows = [(key.role, key.name, key.public) for key in keys]
    text = table(("role", "name", "public key"), rows, colour=colour()) if rows else "No keys yet."
    emit([asdict(key) for key in keys], text, as_json=as_json)


def allow(
    host: Host,
    public: Annotated[str, typer.Argument(metavar="KEY", help="Its public key, 40 characters.")],
    *,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Let a host report to the central of this machine."""
    key = _store(config).allow(host, public)
    emit(asdict(key), f"{host} may report to central.", as_json=as_json)


def revoke(host: Host, *, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Let a host report no more; its connection is refused at once."""
    _store(config).revoke(host)
    emit({"name": host}, f"{host} may no longer report to central.", as_json=as_json)


def _store(config: ConfigFile) -> Any:  # noqa: ANN401  (a KeyStore, imported late)
    from agent.config import load
    from agent.keys import KeyStore

    return KeyStore(load(config).paths.state / "keys")
