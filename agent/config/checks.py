"""What one configured value may be.

A check returns the value as it is kept, or says what it must be.
"""

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

Check: TypeAlias = Callable[[object], object]
"""Takes what TOML gave; raises ValueError whose text begins with "must"."""

_Z85_KEY: Final = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_ENDPOINT: Final = re.compile(r"tcp://(?:\[[0-9a-fA-F:]+\]|[^\s:/\[\]]+|\*):(\d{1,5})")
_MAX_PORT: Final = 65535


def number(low: float, high: float) -> Check:
    """A number from `low` to `high`, kept as float."""

    def check(value: object) -> float:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return float(value)

    return check


def integer(low: int, high: int) -> Check:
    """A whole number from `low` to `high`."""

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return check


def ascending(low: float, high: float) -> Check:
    """A list of numbers that grow, at least one, kept as a tuple of floats."""
    one = number(low, high)

    def check(value: object) -> tuple[float, ...]:
        if not isinstance(value, list) or not value:
            raise ValueError("must be a list of numbers")
        found = [float(str(one(entry))) for entry in value]
        if any(after <= before for before, after in itertools.pairwise(found)):
            raise ValueError("must grow from one number to the next")
        return tuple(found)

    return check


def flag(value: object) -> bool:
    """A boolean."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004  (a check has one kind of error)
    return value


def choice(*names: str) -> Check:
    """One of `names`."""

    def check(value: object) -> str:
        if value not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return str(value)

    return check


def text(pattern: str, words: str) -> Check:
    """A string that `pattern` matches in full; `words` says what that is."""

    def check(value: object) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(f"must be {words}")
        return value

    return check


def path(value: object) -> Path:
    """An absolute path."""
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise ValueError("must be an absolute path")
    return Path(value)


def regex(value: object) -> str:
    """A regular expression, as Python's `re` reads it."""
    if not isinstance(value, str) or not value:
        raise ValueError("must be a regular expression in quotes")
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"must be a regular expression: {error}") from error
    return value


def endpoint(value: object) -> str:
    """A ZeroMQ address with a TCP port."""
    found = _ENDPOINT.fullmatch(value) if isinstance(value, str) else None
    if found is None or not 0 < int(found[1]) <= _MAX_PORT:
        raise ValueError('must be an address such as "tcp://127.0.0.1:5599"')
    return found[0]


def curve_key(value: object) -> str:
    """A CURVE public key in Z85, or empty for none."""
    if value != "" and not (isinstance(value, str) and _Z85_KEY.fullmatch(value)):
        raise ValueError(
            "must be a public key of 40 Z85 characters, as `agent keys show` prints it"
        )
    return str(value)


def each(check: Check) -> Check:
    """A list whose every entry passes `check`, kept as a tuple."""

    def check_all(value: object) -> tuple[object, ...]:
        if not isinstance(value, list):
            raise ValueError("must be a list")  # noqa: TRY004  (a check has one kind of error)
        return tuple(check(entry) for entry in value)

    return check_all
