"""Model files: what they are, and what in them can run code. Nothing here loads a model."""

from collectors.models.findings import Finding, Severity
from collectors.models.scan import digest, scan_path

__all__ = ["Finding", "Severity", "digest", "scan_path"]
