"""Masks what looks like a secret: evidence is handed around, credentials are not.

Only the length of what was masked is kept; a digest of a short one could be tried out.
When in doubt it is masked: a name is enough, and so is the look of a value.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

_SECRET_NAME: Final = re.compile(
    r"key|token|secret|passw|passphrase|credential|auth|cookie|session|private|signature|salt|dsn"
    r"|(?<!ld_)pass$|_pwd$|^pin$",
    re.IGNORECASE,
)
_SECRET_VALUE: Final = re.compile(
    r"://[^/\s:@]*:[^/\s@]+@"  # a password in a URL
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\beyJ[\w-]{8,}\.[\w-]+"  # a JSON web token
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\b(?:hf_|sk-|sk_|pk_|gh[pousr]_|github_pat_|glpat-|xox[abpr]-|AIza|nvapi-)[\w-]{8,}"
    r"|\bBearer\s+\S+",
    re.IGNORECASE,
)
# Random to the eye: 32 or more letters and digits in one run, as keys and digests have them.
_RANDOM: Final = re.compile(r"(?=[\w+=-]*\d)(?=[\w+=-]*[A-Za-z])[\w+=-]{32,}")


def masked(value: str) -> str:
    """Return what stands for a secret."""
    return f"*** ({len(value)} characters)"


def mask_value(name: str, value: str) -> str:
    """Return `value`, or its mask if its name or its look gives it away."""
    if not value:
        return value
    if any(pattern.search(text) for pattern, text in (
        (_SECRET_NAME, name), (_SECRET_VALUE, value), (_RANDOM, value)
    )):  # fmt: skip
        return masked(value)
    return value


def mask_environment(raw: bytes) -> list[list[str]]:
    """Return names and values of /proc/PID/environ, secrets masked.

    What has no name is masked whole: a process may write there what it likes.
    """
    found = []
    for entry in raw.split(b"\0"):
        name, equals, value = entry.decode("utf-8", "surrogateescape").partition("=")
        if not entry:
            continue
        found.append([name, mask_value(name, value)] if equals else ["", masked(name)])
    return found


def mask_arguments(arguments: Iterable[str]) -> list[str]:
    """Return a command line with `--token=X`, `--token X` and values that look secret masked."""
    found: list[str] = []
    expected = ""  # the option whose value comes next
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals:
            found.append(f"{name}={mask_value(name, value)}")
        elif expected and not argument.startswith("-"):
            found.append(mask_value(expected, argument))
        else:
            found.append(mask_value("", argument))
        expected = argument if argument.startswith("-") and not equals else ""
    return found


def mask_verdict(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Return a verdict whose command line shows no secret."""
    process = dict(verdict.get("process") or {})
    if "cmdline" in process:
        process["cmdline"] = mask_arguments(process["cmdline"])
    return dict(verdict) | {"process": process}
