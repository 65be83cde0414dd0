"""What a scan says about a file."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Severity(StrEnum):
    """How much it matters."""

    NOTICE = "notice"  # worth knowing: the format can carry code
    WARNING = "warning"  # code we do not know runs when it is loaded
    DANGER = "danger"  # code that no model needs runs when it is loaded


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found in one file. `part` names the member of an archive."""

    path: Path
    rule: str  # pickle-danger, pickle-unknown, pickle-present, broken, safetensors-header, unread
    severity: Severity
    words: str
    part: str = ""
