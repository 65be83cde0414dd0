"""Debian kernels to boot: the newest image of a series, downloaded once by package name."""

import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

CACHE: Final = Path("/var/cache/inferward")
OLDEST: Final = "5.10"
"""Has no task storage for tracing programs: the agent must refuse it in one sentence."""

NEWEST: Final = "newest"
"""Whatever Debian's backports hold: what moves in the kernel is known before it is released."""

SERIES: Final = (OLDEST, "6.1", "6.12", NEWEST)
# Where a series is, if the lists of this very host (Debian 12 has 6.1 and 6.12) do not offer it.
_SUITES: Final = {
    OLDEST: "bullseye",
    "6.1": "bookworm",
    "6.12": "trixie",
    NEWEST: "trixie-backports",
}
_KEYS: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"


class KernelUnavailableError(Exception):
    """No kernel of that series is cached and the archive offers none."""


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _mirror() -> str:
    """Return the address from which this host gets Debian itself."""
    asked = ("Created-By: Packages", "Label: Debian")
    lines = _output("apt-get", "indextargets", "--format", "$(REPO_URI)", *asked).split()
    if not lines:
        raise KernelUnavailableError("no Debian archive among apt's sources: try apt-get update")
    return lines[0]


def _lists(suite: str, cache: Path) -> tuple[str, ...]:
    """Fetch the package lists of another suite, and return apt's options that read them.

    They lie apart: what this host installs does not change.
    """
    home = cache / "apt" / suite
    for folder in ("lists/partial", "cache/archives/partial", "parts"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "sources.list").write_text(f"deb [signed-by={_KEYS}] {_mirror()} {suite} main\n")
    options = (
        f"Dir::Etc::SourceList={home}/sources.list", f"Dir::Etc::SourceParts={home}/parts",
        f"Dir::State::Lists={home}/lists", f"Dir::Cache={home}/cache",
    )  # fmt: skip
    told = tuple(word for option in options for word in ("-o", option))
    subprocess.run(["apt-get", *told, "-qq", "update"], check=True)
    return told


def _newest(series: str, lists: tuple[str, ...]) -> str | None:
    """Return the newest package of `series` that holds an image, plain (no cloud, no real-time).

    Since 7.2 that is linux-binary; linux-image only asks for it.
    """
    number = r"[0-9]+" if series == NEWEST else re.escape(series)
    pattern = rf"^linux-(binary|image)-{number}\.[0-9.+a-z-]*amd64$"
    found = _output("apt-cache", *lists, "search", "--names-only", pattern)
    names = [line.split()[0] for line in found.splitlines()]
    plain = [name for name in names if not re.search(r"-(cloud|rt|unsigned)-", name)]
    return max(plain, key=lambda name: (_numbers(name), "-binary-" in name), default=None)


def _numbers(name: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", name)]


def _download(series: str, cache: Path) -> Path:
    lists: tuple[str, ...] = ()
    name = None if series == NEWEST else _newest(series, lists)
    if name is None:
        lists = _lists(_SUITES[series], cache)
        name = _newest(series, lists)
    if name is None:
        raise KernelUnavailableError(f"the archive has no kernel of series {series}")
    folder = cache / "kernels" / series
    folder.mkdir(parents=True, exist_ok=True)
    # Not as apt's own user: the cache is root's.
    unprivileged = ("-o", "APT::Sandbox::User=root")
    subprocess.run(
        ["apt-get", *lists, *unprivileged, "download", "-qq", name], check=True, cwd=folder
    )
    return _cached(series, cache)[-1]


def _cached(series: str, cache: Path) -> list[Path]:
    packages = (cache / "kernels" / series).glob("linux-*_amd64.deb")
    return sorted(packages, key=lambda path: path.stat().st_mtime)


def image(series: str, cache: Path = CACHE) -> Path:
    """Return the path of a bootable vmlinuz of `series` ("6.1"), from the cache or the archive.

    Raises:
        KernelUnavailableError: neither has one.
        subprocess.CalledProcessError: apt or dpkg failed; its words are on stderr.
    """
    package = next(reversed(_cached(series, cache)), None) or _download(series, cache)
    target = package.with_suffix("")
    found = list(target.rglob("vmlinuz*"))
    if not found:
        partial = target.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        # The modules are nine tenths of it, and no machine here loads one.
        with subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE
        ) as tar:
            subprocess.run(
                ["tar", "-x", "-C", partial, "--wildcards", "*/vmlinuz*"],
                stdin=tar.stdout,
                check=True,
            )
        partial.rename(target)
        found = list(target.rglob("vmlinuz*"))
    return found[0]


def release(vmlinuz: Path) -> str:
    """Return what uname(2) will say: newer packages have it in the folder's name."""
    named = vmlinuz.name.removeprefix("vmlinuz-")
    return vmlinuz.parent.name if named == "vmlinuz" else named


def native() -> str:
    """Return the running kernel's release, for the table beside the others."""
    return platform.release()
