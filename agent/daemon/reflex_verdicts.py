"""What the kernel answered by itself, in the words of a verdict."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, Final

from agent.daemon.telling import REPEAT_S
from collectors.reflexes import KIND, OUTCOMES
from collectors.sightings import Sighting
from detectors.assessment import Assessment, Level

_OUTCOMES: Final = frozenset(OUTCOMES.values())
_DEEDS: Final = {
    "denied": "denied",
    "stopped": "stopped who did it",
    "rehearsed": "would have answered, in a dry run,",
    "spared": "let pass, after too many different ones,",
}
_SHOWN: Final = 3
_NS: Final = 1_000_000_000


def is_reflex(sighting: Sighting) -> bool:
    """Tell whether a sighting is of a reflex."""
    return sighting.kind.startswith(KIND)


def outcome(sighting: Sighting) -> str:
    """Return how it was answered: denied, stopped, rehearsed or spared."""
    return min(sighting.marks & _OUTCOMES)


@dataclass(slots=True)
class Repeats:
    """What was told lately, by act and outcome: a loop is not a new verdict each second."""

    told_ns: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def news(self, answered: Iterable[Sighting], now_ns: int) -> bool:
        """Tell whether any of these was not told within `REPEAT_S`; from now on all are."""
        oldest_ns = now_ns - int(REPEAT_S * _NS)
        kept = {one: told for one, told in self.told_ns.items() if told > oldest_ns}
        seen = {(act(one), one.item, outcome(one)) for one in answered}
        self.told_ns = dict.fromkeys(seen - kept.keys(), now_ns) | kept
        return not seen <= kept.keys()


def judged(assessment: Assessment, answered: Sequence[Sighting], *, news: bool) -> Assessment:
    """Return the assessment of a window in which the kernel answered: high, critical if it gave up.

    A dry run is told as what it would have been.
    """
    level = Level.CRITICAL if any(outcome(one) == "spared" for one in answered) else Level.HIGH
    return replace(
        assessment,
        level=max(assessment.level, level),
        summary=f"{_words(answered)}; {assessment.summary}",
        announces=news or assessment.announces,
    )


def _words(answered: Sequence[Sighting]) -> str:
    """Say what was done, the gravest first."""
    by_deed: dict[str, list[str]] = {}
    for one in sorted(answered, key=lambda one: outcome(one) != "spared"):
        items = by_deed.setdefault(_DEEDS[outcome(one)], [])
        item = f"{act(one)} {one.item}"
        if item not in items:
            items.append(item)
    deeds = []
    for deed, items in by_deed.items():
        more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
        deeds.append(f"{deed} {', '.join(items[:_SHOWN])}{more}")
    return f"a reflex {'; '.join(deeds)}"


def act(sighting: Sighting) -> str:
    """Return exec, connect or secret."""
    return sighting.kind.removeprefix(KIND)


def response(
    plain: Mapping[str, Any], answered: Iterable[Sighting], *, workload: str, verdict: str
) -> dict[str, Any]:
    """Return the `response` part of a verdict, with what the kernel did before any other step.

    Args:
        plain: Of the agent's own step, or that there was none.
        answered: What the kernel answered.
        workload: Whose it is.
        verdict: Its name.
    """
    acts = [
        {"act": act(one), "item": one.item, "outcome": outcome(one), "pid": one.pid}
        for one in answered
    ]
    approve = f"agent baseline approve {workload} --verdict {verdict}"
    told = dict(plain) | {"reflex": acts, "approve": approve}
    if told["action"] in {"observe", "alert", "reflex"}:
        told["action"], told["state"] = "reflex", _state({str(one["outcome"]) for one in acts})
        told["undo"] = told["undo"] or approve
    return told


def _state(outcomes: AbstractSet[str]) -> str:
    if outcomes & {"denied", "stopped"}:
        return "done"
    return "spared" if "spared" in outcomes else "would"
