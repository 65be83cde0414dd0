"""What was learned, as a page that a person can check."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from agent.render.amounts import amount, moment
from agent.render.inert import inert_values
from agent.render.table import strong

_SHOWN: Final = 200
"""Items of one kind and role; `--json` has them all."""


def baseline_page(baseline: Mapping[str, Any], *, colour: bool = False) -> str:
    """Write the state, then for each role what it was seen to do."""
    baseline = inert_values(baseline)
    return "\n".join([*_head(baseline), *_roles(baseline.get("items", ()), colour=colour)])


def _head(baseline: Mapping[str, Any]) -> Iterator[str]:
    yield f"{baseline['workload']}: {baseline['state']}, {amount('', baseline['windows'])} windows"
    if baseline.get("reason"):
        yield f"  because {baseline['reason']}"
    if learned_ns := baseline.get("learned_unix_ns"):
        yield f"  guards since {moment(learned_ns)}"
    for name, fact in baseline.get("made_of", {}).items():
        yield f"  made of {name}: {fact}"
    if phases := baseline.get("phases"):
        yield f"  seen in the phases: {', '.join(phases)}"
    if baseline.get("coverage") is not None:
        yield f"  covers {baseline['coverage']:.1%} of what the kernel counted"
    if grams := baseline.get("grams"):
        counts = ", ".join(f"{role} {count:,}" for role, count in grams.items())
        yield f"  call sequences: {counts}"
    if names := baseline.get("features"):
        yield f"  readings: {', '.join(names)}"
    if refused := baseline.get("refused"):
        yield f"  {refused:,} items were refused: the baseline was full"


def _roles(items: Any, *, colour: bool) -> Iterator[str]:  # noqa: ANN401  (a list of plain maps)
    known: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        known[item["role"]][item["kind"]].append(item["item"] + _bounds(item))
    for role, kinds in known.items():
        yield ""
        yield strong(f"As {role}", colour=colour)
        for kind, names in kinds.items():
            yield f"  {kind} ({len(names):,})"
            yield from (f"    {name}" for name in names[:_SHOWN])
            if len(names) > _SHOWN:
                yield f"    and {len(names) - _SHOWN:,} more"


def _bounds(item: Mapping[str, Any]) -> str:
    """What a known thing is known for, if that is less than everything."""
    words = [f"in {' and '.join(item['phases'])} alone"] if item.get("phases") else []
    words += ["seen at one time only: in doubt"] if item.get("doubted") else []
    return f"  ({'; '.join(words)})" if words else ""
