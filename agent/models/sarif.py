"""Findings of a scan as SARIF 2.1.0, which code hosts show beside the change that caused them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from agent import VERSION
from collectors.models import RULES, Finding, Severity

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final = {Severity.NOTICE: "note", Severity.WARNING: "warning", Severity.DANGER: "error"}


def sarif(findings: Sequence[Finding], root: Path) -> dict[str, Any]:
    """Return a SARIF log; files below `root` are named relative to it."""
    rules = sorted({finding.rule for finding in findings})
    driver = {
        "name": "inferward",
        "version": VERSION,
        "rules": [_rule(name) for name in rules],
    }
    results = [_result(finding, rules.index(finding.rule), root) for finding in findings]
    run = {"tool": {"driver": driver}, "results": results, "columnKind": "unicodeCodePoints"}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(name: str) -> dict[str, Any]:
    rule = RULES[name]
    return {
        "id": name,
        "shortDescription": {"text": rule.title},
        "help": {"text": rule.advice},
        "properties": {"tags": ["security", *rule.techniques]},
    }


def _result(finding: Finding, index: int, root: Path) -> dict[str, Any]:
    words = f"{finding.part}: {finding.words}" if finding.part else finding.words
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{words}. To do: {finding.advice}."},
        "locations": [
            {"physicalLocation": {"artifactLocation": {"uri": _uri(finding.path, root)}}}
        ],
    }


def _uri(path: Path, root: Path) -> str:
    absolute = path.absolute()
    if absolute.is_relative_to(root):
        # Quoted as a URI quotes, without the scheme: relative to the checkout.
        return absolute.as_uri()[len(root.as_uri()) :].lstrip("/") or "."
    return absolute.as_uri()
