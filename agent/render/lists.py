"""Short tables: containments, baselines, findings, hosts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent.render.amounts import amount, moment, size
from agent.render.inert import inert_values
from agent.render.table import table

Row = Mapping[str, Any]


def containment_table(containments: Iterable[Row], *, colour: bool = False) -> str:
    """Write a line for each containment."""
    rows = [
        (
            c["id"],
            c["workload"],
            c["step"],
            c["state"],
            moment(c["begun_unix_ns"]),
            _budget(c) + c["reason"],
            c["undo"],
        )
        for c in containments
    ]
    if not rows:
        return "Nothing is contained."
    return table(("id", "workload", "step", "state", "since", "why", "undo"), rows, colour=colour)


def _budget(containment: Row) -> str:
    """Write how much of each budget is spent, or that clients are cut, before the reason."""
    parts = [
        f"{name} {size(sent['spent_bytes'])} of {size(containment['upload_bytes'][name])} an hour"
        + (f", {size(sent['refused_bytes'])} refused" if sent["refused_bytes"] else "")
        for name, sent in (containment.get("sent") or {}).items()
        if sent["spent_bytes"] or sent["refused_bytes"]
    ]
    parts += ["clients cut"] if containment.get("cut_clients") else []
    return f"[{'; '.join(parts)}] " if parts else ""


def findings_text(findings: Sequence[Row], *, colour: bool = False) -> str:
    """Write the doctor's findings, and the fix under each that is not well."""
    rows = [(f["name"], f["state"], f["words"]) for f in findings]
    text = table(("what", "state", "found"), rows, colour=colour)
    fixes = [f"  {f['name']}: {f['fix']}" for f in findings if f["fix"] and f["state"] != "ok"]
    return "\n".join([text, "", "To do:", *fixes]) if fixes else text


def any_table(rows: Sequence[Row], nothing: str, *, colour: bool = False) -> str:
    """Write plain maps under the names of the first one's keys."""
    if not rows:
        return nothing
    names = [name for name, value in rows[0].items() if not isinstance(value, Mapping)]
    return table(
        names, [[amount(name, row.get(name)) for name in names] for row in rows], colour=colour
    )


def page(values: Mapping[str, Any], depth: int = 0) -> str:
    """Write a nested map as an indented page."""
    lines = []
    values = values if depth else inert_values(values)
    for name, value in values.items():
        title = f"{'  ' * depth}{name.replace('_', ' ')}"
        if isinstance(value, Mapping) and value:
            lines += [f"{title}:", page(value, depth + 1)]
        elif isinstance(value, list | tuple) and any(isinstance(entry, Mapping) for entry in value):
            lines.append(f"{title}:")
            lines += [f"{'  ' * (depth + 1)}- {amount('', entry)}" for entry in value]
        else:
            lines.append(f"{title}: {amount(name, value)}")
    return "\n".join(lines)
