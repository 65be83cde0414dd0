"""What a machine cannot compile itself: known workloads, static, below the tests they belong to."""

import subprocess
from pathlib import Path
from typing import Final

from tests.host import eyes

GUEST: Final = Path(__file__).with_name("guest")


def compile_all() -> None:
    """Leave each in a build folder that travels with the checkout."""
    eyes.build_all()
    target, source = GUEST / "build/acts", GUEST / "acts.c"
    newest = max(each.stat().st_mtime for each in (source, source.with_name("entries.h")))
    if target.exists() and target.stat().st_mtime >= newest:
        return
    target.parent.mkdir(exist_ok=True)
    flags = ("-static", "-O2", "-Wall", "-Wextra", "-Werror")
    subprocess.run(["gcc", *flags, "-o", target, source], check=True)
