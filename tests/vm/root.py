"""The root a virtual machine boots into: layers of one initramfs, cached by what they hold.

The kernel unpacks concatenated archives one over the other: a Debian made by mmdebstrap, the
Python libraries of `.venv`, then the checkout and the command of this very run.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).parents[2]
HOME: Final = "opt/inferward"
ROOMS: Final = ("agent", "collectors", "detectors", "probes", "packaging", "tests")
# What no machine runs: results of a tree stay true when only its words change.
_STAYS: Final = shutil.ignore_patterns("__pycache__", "*.md", "instructions.txt")

PACKAGES: Final = (
    "systemd-sysv",
    "dbus",
    "python3",
    "libbpf1",
    "bpftool",
    "iproute2",
    "procps",
    "kmod",
)
# Documentation is half of a minimal Debian and would be unpacked into memory.
_NOT_UNPACKED: Final = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
# Large, and nothing that runs under another kernel asks for them: central's store and its
# libraries, and the linters.
_LEFT_OUT: Final = (
    "chdb*", "datastore", "pyarrow*", "pandas*", "_chdb*", "libchdb*",
    "mypy*", "*__mypyc*", "ruff*", "grimp*", "pip*", "librt*", "ast_serialize*",
)  # fmt: skip


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def pack(tree: Path, archive: Path, *, names: Sequence[str] = (".",), level: int = 3) -> None:
    """Write `names` below `tree` to `archive`, a zstd-compressed cpio the kernel unpacks."""
    partial = archive.with_suffix(".partial")
    with partial.open("wb") as out:
        find = subprocess.Popen(["find", *names, "-print0"], cwd=tree, stdout=subprocess.PIPE)
        cpio = subprocess.Popen(
            ["cpio", "--null", "--create", "--format=newc", "--quiet", "--owner=0:0"],
            cwd=tree, stdin=find.stdout, stdout=subprocess.PIPE,
        )  # fmt: skip
        subprocess.run(["zstd", f"-{level}", "-q"], stdin=cpio.stdout, stdout=out, check=True)
        if find.wait() or cpio.wait():
            raise subprocess.CalledProcessError(find.returncode or cpio.returncode, "find | cpio")
    partial.rename(archive)


def debian(cache: Path, more: Sequence[str] = ()) -> Path:
    """Return the archive of a minimal Debian 12 with systemd, Python and `more`, made once."""
    packages = (*PACKAGES, *more)
    archive = cache / f"debian-{_key(*packages, *_NOT_UNPACKED)}.cpio.zst"
    if archive.exists():
        return archive
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as work:
        tree = Path(work) / "tree"
        subprocess.run(
            [
                "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory",
                f"--include={','.join(packages)}",
                *(f"--dpkgopt=path-exclude={path}" for path in _NOT_UNPACKED),
                "bookworm", str(tree),
            ],
            check=True,
        )  # fmt: skip
        pack(tree, archive, level=9)
    return archive


def libraries(cache: Path) -> Path:
    """Return the archive of `.venv` less what is left out, made once per lock."""
    lock = (CHECKOUT / "packaging/locks/dev.txt").read_text()
    archive = cache / f"libraries-{_key(lock, *_LEFT_OUT)}.cpio.zst"
    if archive.exists():
        return archive
    with tempfile.TemporaryDirectory(dir=cache) as work:
        shutil.copytree(
            CHECKOUT / ".venv",
            Path(work) / HOME / ".venv",
            symlinks=True,
            ignore=shutil.ignore_patterns(*_LEFT_OUT, "inferward.pth", "tests"),
        )
        pack(Path(work), archive)
    return archive


def digest() -> str:
    """Return what tells this working tree from any other that would run differently."""
    whole = hashlib.sha256()
    for name in ROOMS:
        for folder, folders, files in os.walk(CHECKOUT / name):
            left_out = _STAYS(folder, [*folders, *files])
            folders[:] = sorted(set(folders) - left_out)
            for path in (Path(folder) / file for file in sorted(set(files) - left_out)):
                whole.update(f"{path.relative_to(CHECKOUT)}\0{path.stat().st_size}\0".encode())
                whole.update(path.read_bytes())
    return whole.hexdigest()[:16]


def checkout(work: Path, init: Path, command: str) -> Path:
    """Return the archive with this working tree, `init` as /init and `command` as what to run."""
    tree = work / "checkout"
    home = tree / HOME
    for name in ROOMS:
        shutil.copytree(CHECKOUT / name, home / name, ignore=_STAYS)
    # Here, in a second: an emulated machine would take a minute for it.
    subprocess.run([sys.executable, "-m", "compileall", "-q", "-j2", home], check=True)
    shutil.copy(CHECKOUT / "pyproject.toml", home)
    site = home / ".venv/lib/python3.11/site-packages"
    site.mkdir(parents=True)
    (site / "inferward.pth").write_text(f"/{HOME}\n")
    entry = home / ".venv/bin/agent"
    entry.parent.mkdir()
    entry.write_text(
        f"#!/{HOME}/.venv/bin/python\nimport sys\nfrom agent.main import main\nsys.exit(main())\n"
    )
    entry.chmod(0o755)
    shutil.copy(init, tree / "init")
    shutil.copy(CHECKOUT / "tests/vm/session.sh", tree / "session")
    unit = tree / "etc/systemd/system/session.service"
    unit.parent.mkdir(parents=True)
    shutil.copy(CHECKOUT / "tests/vm/session.service", unit)
    wanted = unit.parent / "multi-user.target.wants/session.service"
    wanted.parent.mkdir()
    wanted.symlink_to("/etc/systemd/system/session.service")
    # No name server is there to be asked; without these, every server asks one for its own name.
    (tree / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    (tree / "etc/resolv.conf").write_text("")
    (tree / "command").write_text(command + "\n")
    archive = work / "checkout.cpio.zst"
    pack(tree, archive)
    return archive


def build(work: Path, cache: Path, init: Path, command: str, packages: Sequence[str] = ()) -> Path:
    """Return one initramfs in `work` of all three layers."""
    whole = work / "initramfs"
    with whole.open("wb") as out:
        for layer in (debian(cache, packages), libraries(cache), checkout(work, init, command)):
            with layer.open("rb") as part:
                shutil.copyfileobj(part, out)
    return whole
