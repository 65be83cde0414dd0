"""Model files: what they are, and what in them can run code. Nothing here loads a model."""

from collectors.models.artifacts import is_artifact
from collectors.models.digests import digest
from collectors.models.findings import RULES, Finding, Rule, Severity
from collectors.models.scan import scan_path
from collectors.models.walk import Scan, scan_tree

__all__ = [
    "RULES",
    "Finding",
    "Rule",
    "Scan",
    "Severity",
    "digest",
    "is_artifact",
    "scan_path",
    "scan_tree",
]
