"""What the kernel answered by itself, as its records tell it."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from collectors.sightings import Reader, Sighting, address, protocol_name
from probes.schema import Schema

KIND: Final = "reflex-"
"""What the kinds of such sightings begin with: reflex-exec, reflex-connect, reflex-secret."""

OUTCOMES: Final = {
    "REFLEX_DENIED": "denied",
    "REFLEX_STOPPED": "stopped",
    "REFLEX_REHEARSED": "rehearsed",
    "REFLEX_SPARED": "spared",
}
"""Marks, one of which each has."""


class Reflexes:
    """Reads the records of reflexes.

    Args:
        reader: Headers, marks and keys.
        schema: Of the loaded object.
    """

    def __init__(self, reader: Reader, schema: Schema) -> None:
        """Look up the constants once."""
        self._reader = reader
        self._kind = schema.enum("event_kind")["EVENT_REFLEX"]
        outcomes = schema.enum("reflex_outcome")
        self._outcomes = {outcomes[name]: word for name, word in OUTCOMES.items()}
        self._acts = {
            number: name.removeprefix("REFLEX_").lower()
            for name, number in schema.enum("reflex_act").items()
        }
        self._connect = schema.enum("reflex_act")["REFLEX_CONNECT"]

    def readers(self) -> dict[int, tuple[str, Callable[[np.void], Sighting]]]:
        """Struct and function by event kind."""
        return {self._kind: ("reflex_event", self._read)}

    def _read(self, record: np.void) -> Sighting:
        first, second, act = int(record["first"]), int(record["second"]), int(record["act"])
        outcome, port = int(record["outcome"]), int(record["port"])
        key = self._reader.seen_key(
            record["hdr"],
            first=first,
            second=second,
            dev=port,
            generation=(act << 16) | int(record["protocol"]),
            access=outcome,
        )
        base: dict[str, Any] = self._reader.base(record)
        base["marks"] |= {self._outcomes[outcome]}
        if act == self._connect:
            words = np.array([first >> 32, first, second >> 32, second], "<u8").astype("<u4")
            host = address(int(record["family"]), words.view(np.uint8))
            item = f"{protocol_name(int(record['protocol']))} {host}:{port}"
        else:
            item = self._reader.path(record)
            base["inode"] = (second, first)
        return Sighting(kind=KIND + self._acts[act], item=item, key=key, **base)
