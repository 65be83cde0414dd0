"""The journal's bytes: a record a line, behind its CRC-32 in eight hex digits and a space.

Pure. A record is a JSON object. What follows the last record is NUL bytes.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reading:
    """What a journal file holds.

    Attributes:
        records: Those whose checksum is right, oldest first.
        bad_lines: Lines before the last whose checksum is wrong: something wrote over them.
        torn: The last line is incomplete, as a power cut leaves it: its act was not done yet.
        end: Offset in bytes where the next record goes.
    """

    records: tuple[dict[str, Any], ...]
    bad_lines: int
    torn: bool
    end: int


def encode(record: Mapping[str, Any]) -> bytes:
    """Return `record` as one journal line."""
    text = json.dumps(record, separators=(",", ":"), sort_keys=True).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def decode(content: bytes) -> Reading:
    """Read a whole journal file; never raises, whatever it holds."""
    used = content.rstrip(b"\0")
    lines = used.split(b"\n")
    tail = lines.pop()
    parsed = [_line(line) for line in lines]
    last_bad = bool(parsed) and parsed[-1] is None and not tail
    bad = parsed.count(None) - last_bad
    end = len(used) - len(tail) - (len(lines[-1]) + 1 if last_bad else 0)
    return Reading(
        tuple(record for record in parsed if record is not None), bad, bool(tail) or last_bad, end
    )


def _line(line: bytes) -> dict[str, Any] | None:
    checksum, _, text = line.partition(b" ")
    if b"%08x" % zlib.crc32(text) != checksum:
        return None
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
