"""What recordings tell without a host: calibration in time, poisoned learning, diluted attacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from agent.recording import facts, frames
from detectors.assessment import BaselineState, Level
from detectors.baseline import Baseline
from detectors.judge import Judge
from detectors.settings import JudgeSettings
from detectors.window import Grams, Window

RATES: Final = (0.01, 0.05, 0.1)
POISON: Final = 0.02
DRILLED: Final = "eval-"
"""How the names of the servers begin that are drilled here."""

AGAIN: Final = 4
"""Times that ordinary life is repeated for a learning that takes longer than the recorded one."""

DILUTION: Final = 9
"""Ordinary windows to one of an attack."""

UNDILUTABLE: Final = ("shell", "dropped-program", "ssh-key", "cloud-credentials", "upload")


@dataclass(frozen=True, slots=True)
class Start:
    """How a recording begins: settings and baseline of the workload it is of."""

    settings: JudgeSettings
    baseline: bytes


def windows(path: Path) -> tuple[Start, list[Window]]:
    """Return a recording's windows and how they begin: of the drilled one, else of the busiest.

    Others may run on the host, have as many windows, and more calls.
    """
    starts: dict[str, Start] = {}
    found: dict[str, list[Window]] = {}
    for name, *rest in frames.read(path):
        if name == "judge":
            begun = Start(facts.unpack_settings(rest[1]["settings"]), rest[1]["baseline"])
            starts.setdefault(rest[0], begun)
        elif name == "window":
            one = facts.unpack_window(rest[0])
            found.setdefault(one.workload, []).append(one)
    drilled = [name for name in found if name.startswith(DRILLED)] or list(found)
    busiest = max(drilled, key=lambda name: sum(one.calls for one in found[name]))
    return starts[busiest], found[busiest]


def realised(ordinary: Path) -> dict[str, Any]:
    """Return, for each nominal rate, the share of later ordinary windows below it.

    The baseline was calibrated before the recording began: the split is ordered in time.
    """
    start, later = windows(ordinary)
    baseline = Baseline.from_bytes(start.baseline)
    p_values = [
        min(1.0, len(found) * min(found.values()))
        for one in later
        if (found := baseline.p_values(baseline.scores(one), one.lost))
    ]
    sizes = [len(one.scores) for one in baseline.calibrations.values()]
    return {
        "windows": len(p_values),
        "calibrated_on": max(sizes, default=0),
        "rates": {str(rate): float(np.mean(np.array(p_values) <= rate)) for rate in RATES},
    }


def learned(start: Start, seen: Iterable[Window]) -> Judge:
    """Return a judge that lived through these windows, as far as its gates let it."""
    judge = Judge(start.settings, Baseline.from_bytes(start.baseline))
    for one in seen:
        judge.observe(one)
        if judge.baseline.state is BaselineState.GUARDING:
            break
    return judge


def poisoned(
    learning: Path, attacks: Sequence[Path], ordinary: Path | None = None
) -> dict[str, Any]:
    """Return how many attacks are caught after clean learning and after learning with 2 % attacks.

    Every fiftieth window of the learning is followed by one of an attack, in turn. A poisoned
    learning takes longer: it goes on, poisoned, through what was recorded of ordinary life, again
    and again.
    """
    start, clean = windows(learning)
    later = [] if ordinary is None else windows(ordinary)[1]
    for _ in range(AGAIN):
        clean += _after(clean[-1].end_ns, later)
    bad = [one for path in attacks for one in _acting(path)]
    spoilt = learned(start, _mixed(clean, bad))
    missing = spoilt.baseline.missing(start.settings, clean[-1].end_ns)
    return {
        "windows": len(clean),
        "clean": _caught(learned(start, clean), attacks),
        "poisoned": _caught(spoilt, attacks),
        "missing": list(missing),
        "attacks": len(attacks),
    }


def _after(end_ns: int, later: Sequence[Window]) -> list[Window]:
    """Return windows as if they had followed this moment."""
    return [_moved(one, end_ns - later[0].start_ns) for one in later]


def _moved(one: Window, by_ns: int) -> Window:
    items = tuple(replace(item, time_ns=item.time_ns + by_ns) for item in one.items)
    return replace(one, start_ns=one.start_ns + by_ns, items=items)


def _mixed(clean: Sequence[Window], bad: Sequence[Window]) -> Iterator[Window]:
    every = round(1 / POISON) - 1
    for at, one in enumerate(clean):
        yield one
        if at % every == every - 1:
            attack = bad[(at // every) % len(bad)]
            yield _moved(attack, one.end_ns - attack.end_ns)


def _acting(path: Path) -> list[Window]:
    """Return an attack's windows in which something was new, or all."""
    _, found = windows(path)
    return [one for one in found if one.items] or found


def _caught(judge: Judge, attacks: Sequence[Path]) -> int | None:
    """Return how many attacks reach at least high; None where learning never ended."""
    if judge.baseline.state is not BaselineState.GUARDING:
        return None
    baseline = judge.baseline.to_bytes()
    return sum(_level(judge.settings, baseline, windows(path)[1]) >= Level.HIGH for path in attacks)


def _level(settings: JudgeSettings, baseline: bytes, seen: Iterable[Window]) -> Level:
    judge = Judge(settings, Baseline.from_bytes(baseline))
    return max(judge.observe(one).level for one in seen)


def diluted(ordinary: Path, attacks: Sequence[Path]) -> dict[str, str]:
    """Return the level each attack still reaches when nine ordinary windows are poured into it."""
    _, calm = windows(ordinary)
    found = {}
    for path in attacks:
        if path.stem not in UNDILUTABLE:
            continue
        start, seen = windows(path)
        thin = [_poured(one, calm[:DILUTION]) for one in seen]
        found[path.stem] = _level(start.settings, start.baseline, thin).label
    return found


def _poured(one: Window, others: Sequence[Window]) -> Window:
    """Return one window as long as all together: counts added, rates averaged."""
    length_s = one.length_s + sum(other.length_s for other in others)
    rates = {
        name: float(np.mean([value, *(o.features.get(name, value) for o in others)]))
        for name, value in one.features.items()
    }
    every = [grams for each in (one, *others) for grams in each.grams]
    roles = {grams.role for grams in every}
    joined = tuple(
        Grams(
            role,
            np.concatenate([g.words for g in every if g.role == role]),
            np.concatenate([g.counts for g in every if g.role == role]),
        )
        for role in sorted(roles)
    )
    start_ns = one.end_ns - round(length_s * 1e9)
    return replace(one, start_ns=start_ns, length_s=length_s, features=rates, grams=joined)


def attacks_below(root: Path) -> list[Path]:
    """Return the attack recordings of a directory."""
    return sorted((root / "attack").rglob("*.rec"))
