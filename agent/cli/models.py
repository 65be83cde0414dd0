"""Model files: what they hold, whether they are what was approved, who touched them."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.options import AsJson, ConfigFile, colour, emit

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="A model directory.")]
ManifestFile = Annotated[
    Path | None,
    typer.Option("--manifest", metavar="FILE", help="Instead of the one in the state directory."),
]


def add(app: typer.Typer) -> None:
    """Offer these commands."""
    group = typer.Typer(help="Scan, approve and verify model files.", no_args_is_help=True)
    group.command(epilog="Exit codes: 0 nothing found; 1 findings.")(scan)
    group.command(epilog="Exit codes: 0 approved; 1 dangerous, and not approved.")(trust)
    group.command(epilog="Exit codes: 0 as approved; 1 findings; 5 never approved.")(verify)
    group.command(epilog="Exit codes: 0; 4 no such file was seen.")(history)
    app.add_typer(group, name="models")


def scan(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Files or directories.")],
    *,
    sarif: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write SARIF 2.1.0 there.")
    ] = None,
    fail_on: Annotated[
        str,
        typer.Option(metavar="S", help="Findings from here on fail: notice, warning or danger."),
    ] = "warning",
    as_json: AsJson = False,
) -> None:
    """Look for code in model files without loading one.

    Needs no running agent: it is also a step of a build.
    """
    from agent.models.report import as_json as plain
    from agent.models.report import page
    from agent.models.sarif import sarif as to_sarif
    from collectors.models import Severity, scan_tree

    if fail_on not in set(Severity):
        raise typer.BadParameter("must be notice, warning or danger", param_hint="--fail-on")
    found = scan_tree(paths)
    if sarif is not None:
        _write(sarif, json.dumps(to_sarif(found.findings, Path.cwd()), indent=1) + "\n")
    emit(plain(found), page(found, colour=colour()), as_json=as_json)
    if found.worst is not None and found.worst.rank >= Severity(fail_on).rank:
        raise typer.Exit(1)


def trust(
    directory: Directory,
    *,
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Ed25519 secret key in PEM; made where it is absent."),
    ] = None,
    manifest: ManifestFile = None,
    bundle: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Only if this OpenSSF Model Signing bundle fits."),
    ] = None,
    bundle_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Public key in PEM that signed the bundle.")
    ] = None,
    certificate: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Chain that the bundle is signed by.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Approve dangerous files too.")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Approve a model directory as it is now: a signed manifest of every file and link.

    What a scan calls dangerous is not approved unless you insist. With a bundle, the publisher's
    signature is checked first; from then on the agent compares with our own.
    """
    from agent.models import manifest as manifests
    from agent.models.inventory import inventory
    from agent.models.report import page
    from agent.models.signing import Signer
    from collectors.models import Severity, scan_tree
    from collectors.models.digests import DigestCache

    _must_be_directory(directory)
    if bundle is not None:
        _must_fit(directory, bundle, bundle_key, certificate)
    found = scan_tree([directory])
    if found.worst is Severity.DANGER and not force:
        sys.stderr.write(page(found, colour=False) + "\nNot approved.\n")
        raise typer.Exit(1)
    state = _state(config)
    signer = Signer.load_or_make(key or state / "keys" / "models.key")
    with _Progress(directory) as told:
        entries = inventory(directory, DigestCache(), told)
    file = manifest or manifests.default_path(state, directory)
    manifests.approve(directory, entries, signer, file)
    answer = {"directory": str(directory), "files": len(entries), "manifest": str(file)}
    text = f"{directory} is approved: {len(entries)} files and links. The manifest is {file}."
    emit(answer, text, as_json=as_json)


def verify(
    directory: Directory,
    *,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Public key in PEM, of manifest or bundle.")
    ] = None,
    manifest: ManifestFile = None,
    bundle: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An OpenSSF Model Signing bundle instead.")
    ] = None,
    certificate: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Chain that the bundle is signed by.")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Tell whether a model directory is what was approved.

    Names what changed, is missing or new, and links that lead elsewhere.
    """
    from agent.models.report import deviations as deviations_page

    _must_be_directory(directory)
    if bundle is not None:
        _must_fit(directory, bundle, key, certificate)
        answer: dict[str, Any] = {"directory": str(directory), "bundle": str(bundle)}
        emit(answer | {"findings": []}, f"{directory} is what {bundle} says.", as_json=as_json)
        return
    found = _compared(directory, key, manifest, config)
    answer = {"directory": str(directory), "findings": [one.as_json() for one in found]}
    emit(answer, deviations_page(directory, found, colour=colour()), as_json=as_json)
    if found:
        raise typer.Exit(1)


def history(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A model file, or a directory.")],
    *,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Show who read, mapped and wrote a model file, and when."""
    from agent.models.ledger import Ledger
    from agent.models.report import uses

    with Ledger.open_for_reading(_state(config) / "ledger.db") as ledger:
        found = ledger.history(str(path.absolute()))
    emit([use.as_json() for use in found], uses(found, colour=colour()), as_json=as_json)


def _compared(directory: Path, key: Path | None, manifest: Path | None, config: Path | None) -> Any:  # noqa: ANN401  (a list of Deviation, imported late)
    from agent.models import manifest as manifests
    from agent.models.signing import Checker, public_path
    from agent.models.verify import verify as compare
    from collectors.models.digests import DigestCache

    state = _state(config)
    file = manifest or manifests.default_path(state, directory)
    checker = Checker.load(key or public_path(state / "keys" / "models.key"))
    approved = manifests.read(file, directory, checker)
    with _Progress(directory) as told:
        return compare(directory, approved, DigestCache(), told)


def _must_fit(
    directory: Path, bundle: Path, key: Path | None, certificates: list[Path] | None
) -> None:
    from agent.models.bundles import verify_bundle

    if (key is None) == (not certificates):
        raise typer.BadParameter("a bundle needs either a key or certificates")
    verify_bundle(directory, bundle, key, certificates or ())


def _must_be_directory(directory: Path) -> None:
    from agent.models.manifest import NoDirectoryError

    if not directory.is_dir():
        raise NoDirectoryError(directory)


def _state(config: Path | None) -> Path:
    from agent.config import load

    return load(config).paths.state


def _write(path: Path, text: str) -> None:
    from agent.errors import AgentError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise AgentError(message) from error


class _Progress:
    """A bar on stderr while it is a terminal; silent otherwise."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._bar: Any = None

    def __enter__(self) -> Callable[[int], None] | None:
        if not sys.stderr.isatty():
            return None
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

        from agent.models.inventory import total_bytes

        self._bar = Progress(
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        task = self._bar.add_task("", total=total_bytes(self._directory))
        self._bar.start()
        return lambda size: self._bar.advance(task, size)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
