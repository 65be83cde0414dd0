"""Which build this is."""

import re
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Final

_ABI: Final = re.compile(r"\bABI_NUMBER\s*=?\s*(\d+)")
_ROOT: Final = Path(__file__).parents[1]


def probe_abi() -> int | None:
    """Return the number of the interface between probes and agent; None without its header."""
    try:
        header = files("probes").joinpath("events.h").read_text(encoding="utf-8")
    except (FileNotFoundError, ModuleNotFoundError):
        return None
    found = _ABI.search(header)
    return int(found[1]) if found else None


def commit() -> str:
    """Return the commit: what the packager noted, else what git says of this tree."""
    noted = Path(__file__).with_name("commit.txt")
    if noted.exists():
        return noted.read_text(encoding="utf-8").strip()
    if not (_ROOT / ".git").exists():
        return "unknown"
    command = ["git", "-C", str(_ROOT), "rev-parse", "--short", "HEAD"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # a source tree without git
        return "unknown"
    return asked.stdout.strip() or "unknown"
