"""An assessment as a verdict: the one document people, central and scripts read."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agent.stacks.symbols import Trace
from agent.verdict_id import verdict_id
from collectors.sightings import Sighting
from detectors.assessment import Assessment, Level, NovelItem
from detectors.explain import changed
from detectors.window import ItemKind, Window

RECORDS: Final = 40
"""Sightings told with a verdict: some before the first new thing, the rest after."""

TECHNIQUES_EDITION: Final = {"attack": "ATT&CK v17", "atlas": "ATLAS v5.6.0"}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where and of what a verdict is.

    Attributes:
        offset_ns: CLOCK_REALTIME minus CLOCK_MONOTONIC.
    """

    host: str
    workload: str
    engine: str
    offset_ns: int

    def id(self, window_start_ns: int) -> str:
        """Known from a window's start on: what is done at once can name its verdict."""
        return verdict_id(
            window_start_ns + self.offset_ns, self.host, self.workload, window_start_ns
        )


@dataclass(frozen=True, slots=True)
class Context:
    """What the agent adds to an assessment."""

    process: Mapping[str, Any]
    response: Mapping[str, Any]
    records: tuple[Sighting, ...] = ()
    baseline: Mapping[str, Any] = field(default_factory=dict)
    losses: Mapping[str, int] = field(default_factory=dict)
    stack: Trace | None = None


def verdict(
    origin: Origin, window: Window, assessment: Assessment, context: Context
) -> dict[str, Any]:
    """Plain values in the form INTERFACE promises, with more keys where more is known."""
    # Of what it is about: harmless things that were new just before would make it older than that.
    first = trigger(item for item in assessment.novel if item.level > Level.INFO)
    time_ns = (window.end_ns if first is None else first.time_ns) + origin.offset_ns
    return {
        "id": origin.id(window.start_ns),
        "host": origin.host,
        "time_ns": time_ns,
        "workload": origin.workload,
        "engine": origin.engine,
        "level": assessment.level.label,
        "state": assessment.state.value,
        "phase": window.phase.value,
        "score": _number(assessment.score),
        "p_value": _number(assessment.p_value),
        "e_value": _number(assessment.e_value),
        "likeness_bits": _number(assessment.likeness),
        "budget_spent": _number(assessment.budget_spent),
        "window": {
            "start_ns": window.start_ns,
            "length_s": window.length_s,
            "lost": window.lost,
            "losses": dict(context.losses),
            "summarised": window.summarised,
        },
        "features": [_feature(share) for share in assessment.features],
        "novel": [_novel(item) for item in assessment.novel],
        "sequences": [
            {
                "role": gram.role,
                "calls": list(gram.calls),
                "count": gram.count,
                "surprisal_bits": _number(gram.surprisal_bits),
                "seen": gram.seen,
            }
            for gram in assessment.grams
        ],
        "uploads": [
            {"peer": one.peer, "bytes": one.sent_bytes, "total_bytes": one.total_bytes}
            for one in assessment.uploads
        ],
        "process": dict(context.process),
        "records": [_record(sighting, origin) for sighting in context.records],
        "stack": [] if context.stack is None else context.stack.frames,
        "techniques": list(assessment.techniques),
        "techniques_edition": TECHNIQUES_EDITION,
        "baseline": dict(context.baseline),
        "summary": assessment.summary,
        "response": dict(context.response),
    }


def trigger(novel: Iterable[NovelItem]) -> NovelItem | None:
    """The item that set a verdict off: the gravest, then the first."""
    return min(novel, key=lambda item: (-item.level, item.time_ns), default=None)


def protagonist(novel: Iterable[NovelItem]) -> NovelItem | None:
    """The item whose process a verdict shows: a grave new program, else what set it off.

    The tree above a new program holds the server that started it, too.
    """
    items = tuple(novel)
    programs = [i for i in items if i.kind is ItemKind.EXEC and i.level >= Level.HIGH]
    return trigger(programs or items)


def around(sightings: Iterable[Sighting], time_ns: int) -> tuple[Sighting, ...]:
    """The sightings nearest to a moment, oldest first."""
    near = sorted(sightings, key=lambda sighting: abs(sighting.time_ns - time_ns))[:RECORDS]
    return tuple(sorted(near, key=lambda sighting: sighting.time_ns))


def _feature(share: Any) -> dict[str, Any]:  # noqa: ANN401 - detectors' FeatureShare
    return {
        "name": share.name,
        "unit": share.unit,
        "value": _number(share.value),
        "learned_low": _number(share.learned_low),
        "learned_high": _number(share.learned_high),
        "share": _number(share.share),
    }


def _novel(item: NovelItem) -> dict[str, Any]:
    return {
        "kind": item.kind.value,
        "item": item.item,
        "sensitive": item.sensitive,
        "count": item.count,
        "pid": item.pid,
        "role": item.role,
        "exe": item.exe,
        "level": item.level.label,
        "reason": item.reason,
        "techniques": list(item.techniques),
        "time_ns": item.time_ns,
        "marks": sorted(item.marks),
        **_known(other=item.other, host_path=item.host_path, deed=changed(item)),
    }


def _known(**texts: str) -> dict[str, str]:
    """Keys that are there only where they say something."""
    return {name: text for name, text in texts.items() if text}


def _record(sighting: Sighting, origin: Origin) -> dict[str, Any]:
    return {
        "time_ns": sighting.time_ns + origin.offset_ns,
        "kind": sighting.kind,
        "item": sighting.item,
        "pid": sighting.pid,
        "ppid": sighting.ppid,
        "comm": sighting.comm,
        "marks": sorted(sighting.marks),
        "arguments": list(sighting.arguments),
        "fields": dict(sighting.fields),
        **_known(other=sighting.other, given=sighting.given, host_path=sighting.host_path),
    }


def _number(value: float | None) -> float | None:
    """JSON has no infinity and no NaN: unknown is null."""
    return None if value is None or not math.isfinite(value) else float(value)
