"""The tier `guard` under the kernels that have it: `guard.py [SERIES...]`, each by default.

Compiles the program that acts, statically, since the machine has neither compiler nor our libc.
"""

import argparse
import subprocess
from pathlib import Path
from typing import Final

from tests.vm import kernels
from tests.vm.run import boot

GUEST: Final = Path(__file__).with_name("guest")
LIMIT_S: Final = 240.0


def compile_acts() -> None:
    """Leave the program below tests/vm/guest/build, which travels with the checkout."""
    target = GUEST / "build"
    target.mkdir(exist_ok=True)
    flags = ("-static", "-O2", "-Wall", "-Wextra", "-Werror")
    subprocess.run(["gcc", *flags, "-o", target / "acts", GUEST / "acts.c"], check=True)


def main() -> int:
    """Boot each asked series; 0 only if every act was denied or kept as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("series", nargs="*", default=kernels.SERIES)
    compile_acts()
    statuses = [
        boot(series, "python tests/vm/guest/guard.py", limit_s=LIMIT_S).status
        for series in parser.parse_args().series
    ]
    return 0 if not any(statuses) and None not in statuses else 1


if __name__ == "__main__":
    raise SystemExit(main())
