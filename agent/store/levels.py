"""The five levels of a verdict, lowest first, as they are written in JSON."""

from typing import Final

LEVELS: Final = ("info", "low", "medium", "high", "critical")


def level_rank(level: str) -> int:
    """Return the place of `level` in `LEVELS`, 0 for the lowest.

    Raises:
        ValueError: There is no such level.
    """
    if level not in LEVELS:
        raise ValueError(f"no level of a verdict: {level!r}")
    return LEVELS.index(level)
