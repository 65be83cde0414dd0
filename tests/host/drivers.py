"""Libraries of GPU drivers: one built here, and Debian's own, fetched for its symbols."""

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import pytest

GPU: Final = Path(__file__).parent / "gpu"
REAL: Final = Path(__file__).parent.parent.parent / ".cache" / "gpu-libraries"
PACKAGES: Final = ("libcuda1", "libnvidia-ml1", "libcudart11.0")
_SOURCE: Final = (
    "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    " http://deb.debian.org/debian bookworm non-free\n"
)
_LIMIT_S: Final = 60.0


def build(directory: Path) -> tuple[Path, Path]:
    """Compile the fake driver and the program that uses it; where they are."""
    flags: list[str | Path] = ["-O1", "-Wall", "-Wextra", "-fvisibility=hidden"]
    driver, user = directory / "libcuda.so.1", directory / "user"
    shared: list[str | Path] = ["-shared", "-fPIC", "-o", driver, GPU / "fake_driver.c"]
    subprocess.run(["gcc", *flags, *shared], check=True)
    subprocess.run(["gcc", *flags, "-o", user, GPU / "user.c", "-ldl"], check=True)
    return driver, user


def real(name: str) -> Path:
    """A library of the real driver or runtime by the beginning of its name; skips without one."""
    if why := _fetch():
        pytest.skip(f"Debian's packages of the GPU driver cannot be fetched: {why}")
    return next(path for path in REAL.rglob(f"{name}*") if not path.is_symlink())


@cache
def _fetch() -> str:
    """Unpack the packages where no test did; why that failed, or ""."""
    if all((REAL / name).is_dir() for name in PACKAGES):
        return ""
    home = REAL / "apt"
    for folder in ("lists/partial", "cache/archives/partial"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "sources.list").write_text(_SOURCE)
    places = (
        f"Dir::Etc::SourceList={home}/sources.list", "Dir::Etc::SourceParts=-",
        f"Dir::State::Lists={home}/lists", f"Dir::Cache={home}/cache", "APT::Sandbox::User=root",
        "Acquire::Retries=1", "Acquire::http::Timeout=15",
    )  # fmt: skip
    apt = ["apt-get", "-q", *(word for place in places for word in ("-o", place))]
    for line in ([*apt, "update"], [*apt, "download", *PACKAGES]):
        try:
            done = subprocess.run(
                line, cwd=home, capture_output=True, text=True, timeout=_LIMIT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["apt-get failed"])[-1]
    for name in PACKAGES:
        fresh = REAL / f"{name}.{os.getpid()}"
        (package,) = home.glob(f"{name}_*.deb")
        subprocess.run(["dpkg-deb", "-x", package, fresh], check=True)
        fresh.rename(REAL / name)
    return ""


def exported(library: Path) -> frozenset[str]:
    """Names of the functions that a library exports, as binutils read them."""
    line: list[str | Path] = ["nm", "-D", "--defined-only", "--format=posix", library]
    output = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    found = (words for row in output.splitlines() if (words := row.split())[1] in {"T", "W", "t"})
    return frozenset(words[0].partition("@")[0] for words in found)
