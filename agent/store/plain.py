"""Values as JSON and MessagePack carry them, and their one canonical spelling."""

import json
import math
from collections.abc import Mapping
from typing import Any


def plain(value: object) -> Any:  # noqa: ANN401 - the shape of JSON is whatever went in
    """Return `value` of dicts with text keys, lists, text, numbers, booleans and None only.

    A float that is not finite becomes None: JSON has no word for it, and a
    reading nobody has is null there.

    Raises:
        TypeError: It holds something that JSON has no form for.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [plain(item) for item in items]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    raise TypeError(type(value).__name__)


def canonical(value: object) -> bytes:
    """Return the one spelling of `value`: sorted keys, no spaces, ASCII."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
