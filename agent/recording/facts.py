"""What the detectors were given, as plain values and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, astuple
from typing import Any

import numpy as np

from detectors.assessment import Level, NovelItem
from detectors.judge import Judge
from detectors.prior import AttackPrior
from detectors.settings import JudgeSettings
from detectors.window import Grams, Item, ItemKind, Phase, Route, Traffic, Upload, Window

Plain = list[Any]


def pack_item(item: Item) -> Plain:
    """Return an item as plain values."""
    return [
        item.kind.value,
        item.item,
        item.role,
        item.time_ns,
        item.pid,
        item.exe,
        sorted(item.marks),
        item.count,
        item.other,
        item.host_path,
    ]


def unpack_item(plain: Plain) -> Item:
    """Return the item that `pack_item` was given."""
    kind, item, role, time_ns, pid, exe, marks, *more = plain  # older recordings end at the count
    return Item(ItemKind(kind), item, role, time_ns, pid, exe, frozenset(marks), *more)


def pack_window(window: Window) -> Plain:
    """Return a window as plain values."""
    return [
        window.workload,
        window.start_ns,
        window.length_s,
        window.phase.value,
        window.lost,
        dict(window.features),
        [[one.role, _bytes(one.words), _bytes(one.counts)] for one in window.grams],
        [pack_item(item) for item in window.items],
        [list(astuple(upload)) for upload in window.uploads],
        window.weights_bytes,
        _asked(window.traffic),
        window.summarised,
    ]


def _asked(traffic: Traffic | None) -> Plain | None:
    if traffic is None:
        return None
    length_s, routes, *rest = astuple(traffic)
    return [length_s, [list(route) for route in routes], *rest]


def _traffic(plain: Plain | None) -> Traffic | None:
    if plain is None:
        return None
    length_s, routes, *rest = plain
    return Traffic(length_s, tuple(Route(*route) for route in routes), *rest)


def unpack_window(plain: Plain) -> Window:
    """Return the window that `pack_window` was given."""
    workload, start_ns, length_s, phase, lost, features, grams, items = plain[:8]
    return Window(
        workload,
        start_ns,
        length_s,
        Phase(phase),
        lost,
        features,
        tuple(Grams(role, _numbers(words), _numbers(counts)) for role, words, counts in grams),
        tuple(unpack_item(item) for item in items),
        tuple(
            Upload(*upload) for uploads in plain[8:9] for upload in uploads
        ),  # absent in older ones, as what follows
        next(iter(plain[9:10]), 0),
        next(map(_traffic, plain[10:11]), None),
        next(iter(plain[11:12]), 0),
    )


def pack_settings(settings: JudgeSettings) -> dict[str, Any]:
    """Return a judge's settings by name."""
    return asdict(settings)


def unpack_settings(plain: Mapping[str, Any]) -> JudgeSettings:
    """Return the settings that `pack_settings` was given."""
    shares = {name: tuple(plain[name]) for name in plain.keys() & {"theft_percent"}}
    return JudgeSettings(**{**plain, **shares})


def pack_judge(judge: Judge) -> dict[str, Any]:
    """Return everything the next verdict depends on: settings, baseline, and what is recent.

    And the prior: another version of the program brings another one.
    """
    return {
        "prior": b"" if judge.prior is None else judge.prior.to_bytes(),
        "settings": pack_settings(judge.settings),
        "baseline": judge.baseline.to_bytes(),
        "shown": {role: _bytes(words) for role, words in judge.baseline.sequences.shown.items()},
        "evidence": [judge.evidence.stride, dict(judge.evidence.channels), judge.evidence.skipped],
        "phase": judge.phase.value,
        "recent": [_plain(novel) for novel in judge.recent],
        "refused": [_plain(novel) for novel in judge.passing],
        "alarmed": judge.alarmed,
        "unexplained": [
            dict(judge.unexplained.since_ns),
            judge.unexplained.copied_bytes,
            dict(judge.unexplained.latest_ns),
        ],
        "drift": judge.drift.excess,
        "announcing": judge.announcing,
        "departures": [dict(judge.departures.sent), [list(one) for one in judge.departures.told]],
        "rereads": [
            judge.rereads.read_bytes,
            judge.rereads.sent_bytes,
            [[percent, int(level)] for percent, level in judge.rereads.told],
        ],
        "unanswered": [pack_item(item) for item in judge.unanswered.waiting],
        "demand": [_asked(one) for one in judge.demand.windows],
        "settled_ns": judge.settled_ns,
    }


def unpack_prior(plain: Mapping[str, Any]) -> AttackPrior | None:
    """Return the prior that was judged with; older recordings have none."""
    data: bytes = plain.get("prior", b"")
    return AttackPrior.from_bytes(data) if data else None


def restore_memory(judge: Judge, plain: Mapping[str, Any]) -> None:
    """Give a judge over the packed baseline what was recent when `pack_judge` was called."""
    shown = {role: _numbers(words) for role, words in plain["shown"].items()}
    judge.baseline.sequences.shown = shown
    stride, channels, skipped = plain["evidence"]
    judge.evidence.stride, judge.evidence.skipped = stride, skipped
    judge.evidence.channels = dict(channels)
    judge.phase = Phase(plain["phase"])
    judge.recent.extend(_novel(one) for one in plain["recent"])
    judge.passing.extend(_novel(one) for one in plain.get("refused", ()))
    judge.alarmed = plain["alarmed"]
    judge.demand.windows.extend(filter(None, map(_traffic, plain.get("demand", ()))))
    since, copied, *latest = plain.get("unexplained", ({}, 0.0))  # absent in older recordings
    judge.unexplained.since_ns, judge.unexplained.copied_bytes = dict(since), copied
    judge.unexplained.latest_ns = dict(*latest)
    read, sent, told = plain.get("rereads", (0.0, 0.0, ()))
    judge.rereads.read_bytes, judge.rereads.sent_bytes = read, sent
    judge.rereads.told = {(percent, Level(level)) for percent, level in told}
    judge.unanswered.waiting = [unpack_item(item) for item in plain.get("unanswered", ())]
    judge.drift.excess = plain.get("drift", 0.0)
    judge.announcing = plain.get("announcing", False)
    judge.settled_ns = plain.get("settled_ns", 0)
    sent, told = plain.get("departures", ({}, ()))  # the same
    judge.departures.sent = dict(sent)
    judge.departures.told = {(peer, percent) for peer, percent in told}


def _plain(novel: NovelItem) -> Plain:
    *plain, marks, other, host_path = astuple(novel)
    return [*plain, sorted(marks), other, host_path]


def _novel(plain: Plain) -> NovelItem:
    kind, item, sensitive, count, pid, role, reason, techniques, time_ns, exe, level = plain[:11]
    return NovelItem(
        kind=ItemKind(kind),
        item=item,
        sensitive=sensitive,
        count=count,
        pid=pid,
        role=role,
        reason=reason,
        techniques=tuple(techniques),
        time_ns=time_ns,
        exe=exe,
        level=Level(level),
        marks=frozenset(*plain[11:12]),  # absent in older recordings, as what follows
        other="".join(plain[12:13]),
        host_path="".join(plain[13:14]),
    )


def _bytes(numbers: np.ndarray[Any, np.dtype[np.uint64]]) -> bytes:
    return np.ascontiguousarray(numbers, "<u8").tobytes()


def _numbers(raw: bytes) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.frombuffer(raw, "<u8").astype(np.uint64)
