"""Workloads as a page for people."""

from __future__ import annotations

from collections.abc import Sequence

from agent.models.census import Member, Page
from agent.render.amounts import size
from agent.render.inert import inert_values
from agent.render.table import strong, table

_MODELS_MAX = 20  # a sharded model has hundreds of files; --json has them all


def pages(found: Sequence[Page], *, colour: bool) -> str:
    """Write every workload: what it is and why, its roles, models, libraries and weaknesses."""
    if not found:
        return "No workload was recognised on this host. `agent watch` watches one by hand."
    return "\n\n".join(_page(page, colour=colour) for page in inert_values(found))


def _page(page: Page, *, colour: bool) -> str:
    version = f" {page.version}" if page.version else ""
    lines = [f"{strong(page.name, colour=colour)}: {page.engine}{version}"]
    lines += [f"  because {why}" for why in page.why]
    lines += _tree(page.members, 0, "  ")
    if page.ports:
        lines.append(f"  listens on {', '.join(map(str, page.ports))}")
    if page.devices:
        lines.append(f"  holds {', '.join(page.devices)}")
    mapped = [f"{one.name} {one.version}" for one in page.libraries if one.mapped]
    mapped += [f"{name} {version}" for name, version in page.drivers]
    if mapped:
        others = sum(not one.mapped for one in page.libraries)
        lines.append(f"  has mapped {', '.join(mapped)}; {others} more are installed beside them")
    if page.models:
        lines += ["", _indented(_models(page, colour=colour))]
    for one in page.weaknesses:
        lines += [
            "",
            f"  {strong(one.severity, colour=colour)}: {one.finding}: {one.seen}",
            f"    {one.why}",
            f"    To do: {one.fix}.",
        ]
    if page.unread:
        lines += ["", f"  {page.unread} facts could not be read; run as root to see all."]
    return "\n".join(lines)


def _tree(members: Sequence[Member], parent: int, indent: str) -> list[str]:
    """Write who was started by `parent`; of one role and program, those without children as one."""
    parents = {one.parent for one in members}
    groups: dict[tuple[str, str, int], list[int]] = {}
    for one in (one for one in members if one.parent == parent):
        alone = one.pid if one.pid in parents else 0
        groups.setdefault((one.role, one.program, alone), []).append(one.pid)
    lines = []
    for (role, program, alone), pids in groups.items():
        lines.append(f"{indent}{role}: {', '.join(map(str, pids))} ({program})")
        if alone:
            lines += _tree(members, alone, f"{indent}  ")
    return lines


def _models(page: Page, *, colour: bool) -> str:
    rows = [
        (
            model.how,
            "-" if model.size_bytes is None else size(model.size_bytes),
            model.sha256[:12] or "-",
            model.path,
        )
        for model in page.models[:_MODELS_MAX]
    ]
    text = table(("seen", ">size", "sha256", "model file"), rows, colour=colour)
    left = len(page.models) - _MODELS_MAX
    return text + (f"\nand {left} more: --json shows them" if left > 0 else "")


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
