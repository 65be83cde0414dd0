"""Debian kernels to boot: the newest of a series, downloaded once by package name."""

import platform
import re
import subprocess
from pathlib import Path
from typing import Final

CACHE: Final = Path("/var/cache/inferward")
# What Debian 12's archive holds: its own kernel and the backported long-term one.
SERIES: Final = ("6.1", "6.12")


class KernelUnavailableError(Exception):
    """No kernel of that series is cached and the archive offers none."""


def _newest(series: str) -> str:
    """Return the newest image package of `series`, plain amd64 (no cloud, no real-time).

    Raises:
        KernelUnavailableError: the archive's lists know none; `apt-get update` may help.
    """
    pattern = rf"^linux-image-{re.escape(series)}\.[0-9.+a-z-]*amd64$"
    listing = subprocess.run(
        ["apt-cache", "search", "--names-only", pattern], check=True, capture_output=True, text=True
    )
    names = [line.split()[0] for line in listing.stdout.splitlines()]
    plain = [name for name in names if not re.search(r"-(cloud|rt|unsigned)-", name)]
    if not plain:
        raise KernelUnavailableError(f"no linux-image of series {series}: try apt-get update")
    return max(plain, key=lambda name: [int(part) for part in re.findall(r"\d+", name)])


def _download(series: str, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", "-qq", _newest(series)], check=True, cwd=folder)
    return _cached(series, folder)[-1]


def _cached(series: str, folder: Path) -> list[Path]:
    packages = folder.glob(f"linux-image-{series}.*_amd64.deb")
    return sorted(packages, key=lambda path: path.stat().st_mtime)


def image(series: str, cache: Path = CACHE) -> Path:
    """Return the path of a bootable vmlinuz of `series` ("6.1"), from the cache or the archive.

    Raises:
        KernelUnavailableError: neither has one.
        subprocess.CalledProcessError: apt or dpkg failed; its words are on stderr.
    """
    folder = cache / "kernels"
    package = next(reversed(_cached(series, folder)), None) or _download(series, folder)
    target = folder / "x" / package.name.split("_")[0]
    found = list(target.glob("boot/vmlinuz-*"))
    if not found:
        target.mkdir(parents=True, exist_ok=True)
        subprocess.run(["dpkg-deb", "-x", package, target], check=True)
        found = list(target.glob("boot/vmlinuz-*"))
    return found[0]


def native() -> str:
    """Return the running kernel's release, for the table beside the others."""
    return platform.release()
