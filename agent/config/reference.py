"""Writes the reference configuration: every key with its default and a comment.

`packaging/agent.toml` is this text; a test holds the two together.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from agent.config.schema import REFLEXES, SECTIONS, Learning, Match, Steps, Upload, Workload

_HEAD = """\
# Inferward: every key with its default. Each table may also stand in agent.d/*.toml
# beside this file; a later file wins. `agent config check` reports every mistake,
# `agent config show` the values in force and where each came from.
"""
_COLUMN = 44


def reference() -> str:
    """Return the text of the reference file."""
    lines = [_HEAD]
    for name, kind in SECTIONS.items():
        lines.append(f"[{name}]\n{_comment(kind)}")
        lines.extend(_keys(kind))
        lines.append("")
    lines.append(
        f"# {_doc(Workload)} Any number of these, beside the rules that ship.\n# [[workload]]"
    )
    lines.extend(f"# {line}" for line in _workload())
    return "\n".join(lines) + "\n"


def as_toml(value: object) -> str:
    """Write one value of a setting as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | Path):
        return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple | list):
        return "[" + ", ".join(as_toml(entry) for entry in value) + "]"
    return str(value)


def _keys(kind: type) -> Iterator[str]:
    for field in dataclasses.fields(kind):
        if field.default is None:
            yield _line(f'# {field.name} = "…"', field.metadata["words"])
        else:
            yield _line(f"{field.name} = {as_toml(field.default)}", field.metadata["words"])


def _workload() -> Iterator[str]:
    yield _line('name = "embedder"', "its name in every table and verdict")
    yield _line('match = { cmdline = "uvicorn .*embed", port = 8080 }', "all given must hold:")
    for field in dataclasses.fields(Match):
        yield f"#   {field.name}: {field.metadata['words']}"
    yield _line('respond = "freeze"', "instead of agent.respond")
    yield _line("false_alarms_per_month = 1.0", "instead of the budget's")
    yield _line("dry_run = true", "instead of response.dry_run")
    yield _line('clients = "cut"', "instead of response.clients")
    reflexes = as_toml(REFLEXES)
    yield _line(f"reflex = {reflexes}", "while it guards, denied or stopped unless learnt; none")
    for name, kind in (("steps", Steps), ("upload", Upload), ("learning", Learning)):
        keys = ", ".join(
            f"{field.name} = {as_toml(field.default)}" for field in dataclasses.fields(kind)
        )
        yield _line(f"{name} = {{ {keys} }}", f"instead of [{name}]; missing keys as there")


def _line(code: str, words: str) -> str:
    return f"{code:<{_COLUMN}} # {words}"


def _comment(kind: type) -> str:
    return f"# {_doc(kind)}"


def _doc(kind: type) -> str:
    return (kind.__doc__ or "").splitlines()[0]
