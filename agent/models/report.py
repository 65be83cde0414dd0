"""Pages about model files, for people."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.render.amounts import moment, size
from agent.render.table import strong, table

if TYPE_CHECKING:
    from agent.models.ledger import Use
    from agent.models.verify import Deviation
    from collectors.models import Finding, Scan


def as_json(scan: Scan) -> dict[str, Any]:
    """Return a scan as plain values."""
    return {
        "files": scan.files,
        "size_bytes": scan.size_bytes,
        "worst": scan.worst,
        "findings": [
            {
                "path": str(finding.path),
                "part": finding.part,
                "rule": finding.rule,
                "severity": finding.severity,
                "words": finding.words,
                "advice": finding.advice,
                "techniques": list(finding.techniques),
            }
            for finding in scan.findings
        ],
    }


def page(scan: Scan, *, colour: bool) -> str:
    """Write a scan: the worst first, each with what to do about it."""
    ordered = sorted(scan.findings, key=lambda f: (-f.severity.rank, str(f.path), f.part))
    lines = [line for finding in ordered for line in _finding(finding, colour=colour)]
    counted = f"{scan.files} files, {size(scan.size_bytes)}"
    if not ordered:
        return f"Nothing found in {counted}."
    return "\n".join([*lines, f"{len(ordered)} findings in {counted}."])


def _finding(finding: Finding, *, colour: bool) -> list[str]:
    where = f"{finding.path} [{finding.part}]" if finding.part else str(finding.path)
    techniques = f" ({', '.join(finding.techniques)})" if finding.techniques else ""
    return [
        f"{strong(finding.severity, colour=colour)}: {where}",
        f"    {finding.words}{techniques}",
        f"    To do: {finding.advice}.",
    ]


def deviations(directory: Path, found: Sequence[Deviation], *, colour: bool) -> str:
    """Write what is not as approved."""
    if not found:
        return f"{directory} is as it was approved."
    rows = [(one.what, one.path, one.words) for one in found]
    head = f"{directory} is not as it was approved:"
    return f"{head}\n{table(('what', 'file', 'how'), rows, colour=colour)}"


def uses(found: Sequence[Use], *, colour: bool) -> str:
    """Write what each file is, and who used it."""
    files = {(use.path, use.device, use.inode): use for use in found}
    told = "\n".join(_file(path, use) for (path, _, _), use in sorted(files.items()))
    rows = [
        (
            moment(use.first_ns),
            moment(use.last_ns),
            use.access,
            use.workload or "-",
            use.exe or "-",
            f"{use.count:,}",
            size(use.size_bytes),
            use.path,
        )
        for use in found
    ]
    columns = ("first", "last", "access", "workload", "executable", ">times", ">size", "file")
    return f"{told}\n\n{table(columns, rows, colour=colour)}"


def _file(path: str, use: Use) -> str:
    facts = [use.format or "format unknown"]
    facts += [size(use.size_bytes)] if use.size_bytes else []
    if use.inode:
        facts.append(f"device {os.major(use.device)}:{os.minor(use.device)}, inode {use.inode}")
    return f"{path}: {', '.join(facts)}\n  sha256 {use.sha256 or 'not read'}"
