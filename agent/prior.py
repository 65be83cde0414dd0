"""The attack prior that comes with the program.

Learnt from recordings of its own drills: `make prior RECORDINGS=DIR` writes the file anew.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from detectors.prior import AttackPrior

FILE: Final = Path(__file__).with_name("attack.prior")


@lru_cache(maxsize=1)
def shipped_prior() -> AttackPrior:
    """Return it; the same object each time, since nobody changes it.

    Raises:
        OSError: The installation is incomplete.
        BaselineCorruptError: The file was changed.
    """
    return AttackPrior.from_bytes(FILE.read_bytes())
