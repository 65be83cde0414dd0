"""What is dangerous by itself in a process that serves models: data, one table per subject."""

from __future__ import annotations

from typing import Final

from detectors.rules import (
    calls,
    endpoints,
    files,
    marks,
    models,
    network_and_code,
    programs,
    rights,
    writes,
)
from detectors.rules.rule import ATLAS_EDITION, ATTACK_EDITION, MarkRule, Rule

RULES: Final[tuple[Rule, ...]] = (
    programs.RULES
    + writes.RULES
    + files.RULES
    + network_and_code.RULES
    + calls.RULES
    + rights.RULES
    + endpoints.RULES
)
"""Tried in this order; the first that fits names the class."""

MARK_RULES: Final[tuple[MarkRule, ...]] = marks.RULES + models.RULES

PUBLIC: Final = (
    r"/(?:site|dist)-packages/.*\.(?:py|pyc|pyi|so|json|txt|typed)$",
    r"/certifi/cacert\.pem$",
    r"^/etc/ssl/certs/|^/usr/share/|^/usr/lib/ssl/|^/etc/apt/|^/etc/ssl/openssl\.cnf$",
    r"^/(?:usr/)?lib/python[0-9.]+/.*\.(?:py|pyc)$",
    r"/__pycache__/[^/]+\.pyc(?:\.\d+)?$",
)
"""Files that only sound secret: installed code, and certificates anybody may read. Reading only;
no write is excused by it."""

__all__ = ["ATLAS_EDITION", "ATTACK_EDITION", "MARK_RULES", "PUBLIC", "RULES", "MarkRule", "Rule"]
