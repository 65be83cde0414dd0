"""Turns findings into one sentence a person on call understands at night."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from detectors import inputs, questions, refusals
from detectors.assessment import BaselineState, FeatureShare, Level, NovelItem, SurprisingGram
from detectors.baseline import Baseline
from detectors.changes import change_of
from detectors.features import FEATURES
from detectors.rules.models import is_approval
from detectors.theft import TAKEN, is_departure
from detectors.theft import phrase as departed
from detectors.traffic import ERRORS, FLOOD, GROWN_IN, GROWN_OUT, PROBED, REFUSALS, SWEEP
from detectors.traffic import UNASKED as UNASKED_ANSWERS
from detectors.unexplained import FETCHED, GPU_UNASKED, KEPT, UNASKED
from detectors.window import ItemKind, is_stranger

MAX_NAMED: Final = 3
"""Things a sentence names before it only counts them."""

_VERBS: Final = {
    ItemKind.EXEC: "ran {0}",
    ItemKind.FILE: "opened {0}",
    ItemKind.MODEL: "opened the model {0}",
    ItemKind.WRITE: "wrote {0}",
    ItemKind.LIBRARY: "loaded code from {0}",
    ItemKind.PEER: "opened a connection to {0}",
    ItemKind.LISTEN: "began to listen on {0}",
    ItemKind.SYSCALL: "called {0}",
    ItemKind.SEQUENCE: "made calls in the order {0}",
    ItemKind.CAPABILITY: "changed its rights ({0})",
    ItemKind.DEVICE: "used the device {0}",
    ItemKind.GPU: "used the GPU: {0}",
    ItemKind.ENDPOINT: "was asked for {0}",
    ItemKind.PROBE: "set off the probe {0}",
}
_DEEDS: Final = {
    UNASKED: "worked without being asked",
    GPU_UNASKED: "had its GPU work without being asked",
    FETCHED: "copied more from its GPU than its replies explain",
    KEPT: "keeps more GPU memory than it was learned to",
    "nvml-unlisted": "holds a GPU and is not in the driver's list",
    "nvml-unheld": "is in the driver's list and holds no GPU",
    "load ": "loaded GPU code: ",
    "driver ": "maps a GPU driver's library that was replaced: ",
    "xid ": "was on a GPU that reported the error Xid ",
    "ecc-errors": "was on a GPU whose memory had errors that could not be corrected",
    "namespace ": "entered a namespace of its own: ",
    "set-name ": "took the name ",
    "kill ": "sent ",
    "socket ": "made a socket of the kind ",
    "crash ": "crashed with ",
    "out of memory": "was ended for want of memory",
}
"""By how an item of a kind with several notations begins."""

_ASKED: Final = {
    FLOOD: "was flooded with requests by one client",
    SWEEP: "was swept by one client",
    ERRORS: "failed many requests",
    REFUSALS: "refused many requests",
    GROWN_IN: "was sent large requests",
    GROWN_OUT: "gave large answers",
    UNASKED_ANSWERS: "sent what nobody asked for",
    PROBED: "was probed for what it serves",
}
_SPOKEN: Final = frozenset({ItemKind.SYSCALL, ItemKind.PROBE, ItemKind.CAPABILITY, ItemKind.GPU})

_CHANGED: Final = {
    "renamed-from": "renamed {0} to {1}",
    "renamed-to": "renamed {1} to {0}",
    "linked-from": "gave {0} the second name {1}",
    "linked-to": "gave {1} the second name {0}",
    "symlinked": "made {0} a link to {1}",
    "removed": "removed {0}",
    "made-directory": "made the directory {0}",
    "removed-directory": "removed the directory {0}",
    "made-node": "made the special file {0}",
    "truncated-to": "cut {0} to {1} bytes",
    "emptied": "emptied a part of {0}",
    "mode": "changed the mode of {0} to {1}",
    "owner": "gave {0} to user {1}",
    "attribute": "changed an extended attribute of {0}",
    "times": "set the times of {0}",
    "mounted": "mounted something at {0}",
    "unmounted": "unmounted {0}",
    "flags": "changed the flags of {0}",
}
_TRIED: Final = {"refused-open": "tried to open {0}", "refused-write": "tried to write {0}"}
_CHANGED_TO: Final = {
    "executable": "made {0} executable (mode {1})",
    "set-id": "made {0} run with its owner's rights (mode {1})",
    "device": "made the device file {0}",
    "immutable": "made {0} unchangeable",
    "file-capabilities": "gave {0} rights of the superuser",
}
_MEANINGS: Final = {feature.name: feature.meaning for feature in FEATURES}


def summary(
    baseline: Baseline,
    level: Level,
    novel: Sequence[NovelItem],
    shares: Sequence[FeatureShare],
    grams: Sequence[SurprisingGram],
) -> str:
    """Return one sentence: who did what, and against how much experience.

    Args:
        baseline: What it is measured against.
        level: Of the whole.
        novel: Most serious first.
        shares: Largest first.
        grams: Most surprising first.
    """
    worth = [one for one in novel if one.level >= Level.MEDIUM] or list(novel[:1])
    learned = f"{baseline.workload} was learnt over {baseline.windows} windows"
    if worth and worth[0].level > Level.INFO:
        return _novelty(baseline, worth)
    if level is Level.INFO or not (shares or grams):
        if baseline.state is BaselineState.LEARNING:
            return f"{baseline.workload} is being learnt: {baseline.windows} windows so far."
        return f"{baseline.workload} does what it was learnt to do ({baseline.windows} windows)."
    beyond = (one for one in shares if not one.learned_low <= one.value <= one.learned_high)
    top = next(beyond, None)
    if top is not None:
        return f"{baseline.workload} has {_reading(top)}; {learned}."
    if grams:
        return f"{baseline.workload} makes system calls in an unusual order; {learned}."
    return (
        f"{baseline.workload} has readings that are unusual together, each in its learnt range,"
        f" above all {_reading(shares[0])}; {learned}."
    )


def _reading(one: FeatureShare) -> str:
    return (
        f"{_MEANINGS[one.name]} at {_number(one.value)} {one.unit},"
        f" learnt range {_number(one.learned_low)} to {_number(one.learned_high)}"
    )


def outdated(baseline: Baseline) -> str:
    """Return one sentence: what runs is not what was learnt, and what a person decides."""
    return (
        f"{baseline.workload} is not what was learned: {baseline.reason}. Until somebody decides,"
        f" only what is dangerous by itself counts: agent baseline learn {baseline.workload} learns"
        f" it anew, agent baseline approve {baseline.workload} --changed keeps the baseline."
    )


def _novelty(baseline: Baseline, worth: Sequence[NovelItem]) -> str:
    first = worth[0]
    if is_approval(first.marks):
        more = f"; and {len(worth) - 1} more" if len(worth) > 1 else ""
        return f"{baseline.workload} uses {first.item}, {first.reason}: {first.other}{more}."
    outside = is_stranger(first.role)
    # Both halves of a rename say the same.
    said = dict.fromkeys(_phrase(one) for one in worth if is_stranger(one.role) is outside)
    named = list(said)[:MAX_NAMED]
    if len(said) > MAX_NAMED:
        named.append(f"did {len(said) - MAX_NAMED} more things it never did")
    deeds = named[0] if len(named) == 1 else ", ".join(named[:-1]) + " and " + named[-1]
    if outside:
        who = f"{first.exe} (pid {first.pid}), which does not belong to {baseline.workload},"
        return f"{who} {deeds}: {first.reason}, which none did in {baseline.windows} windows."
    exe = f"{first.exe}, " if first.exe and first.exe != first.item else ""
    process = f" ({exe}pid {first.pid})" if first.pid else ""  # traffic is of no process
    who = f"{baseline.workload}'s {_role(first.role)}{process}"
    return (
        f"{who} {deeds}, which it never did in {baseline.windows} learned windows: {first.reason}."
    )


def _phrase(one: NovelItem) -> str:
    if one.kind is ItemKind.ENDPOINT:
        known = _ASKED.get(one.item) or inputs.phrase(one.item)
        return known or _VERBS[one.kind].format(one.item)
    if one.kind is ItemKind.PEER and one.item.startswith("accept "):
        return "accepted a connection from " + one.item.removeprefix("accept ")
    if one.reason.startswith("its program's file"):
        return f"still runs {one.item}"
    for prefix, verb in _DEEDS.items():
        if one.kind in _SPOKEN and one.item.startswith(prefix):
            return verb + one.item.removeprefix(prefix)
    if one.kind is ItemKind.PEER and (
        phrase := refusals.phrase(one.item) or questions.phrase(one.item)
    ):
        return phrase
    return changed(one) or _VERBS[one.kind].format(one.item)


def changed(one: NovelItem) -> str:
    """Return what was done to a name or an attribute, in words; empty for any other deed."""
    if is_approval(one.marks):
        return f"uses {one.item}: {one.other}"
    if one.kind is ItemKind.MODEL and is_departure(one.item):
        return departed(one.item)
    if TAKEN in one.marks:
        return f"read {one.other} of {one.item}"
    for mark, form in _TRIED.items():
        if mark in one.marks:
            return form.format(one.item)
    change = change_of(one.marks)
    if not change:
        return ""
    form = next((form for mark, form in _CHANGED_TO.items() if mark in one.marks), _CHANGED[change])
    return form.format(one.item, one.other or "another name")


def _role(role: str) -> str:
    return {"main": "server process", "unknown-child": "child process"}.get(role, f"{role} process")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"  # noqa: PLR2004 - two digits


def techniques(novel: Sequence[NovelItem]) -> tuple[str, ...]:
    """Return all technique ids of what matters, in order of seriousness, without repetition."""
    found = [one for item in novel if item.level >= Level.LOW for one in item.techniques]
    return tuple(dict.fromkeys(found))


def next_steps(level: Level, novel: Sequence[NovelItem], workload: str) -> tuple[str, ...]:
    """Return what a person may do now, most urgent first; commands are the product's own."""
    if level <= Level.LOW:
        return ()
    steps = []
    if level is Level.CRITICAL:
        steps.append(
            f"Contain it if that was not done: agent contain {workload} --level freeze"
            " --reason incident"
        )
    if any("T1552.001" in one.techniques or "AML.T0055" in one.techniques for one in novel):
        steps.append("Replace the secrets it opened: treat them as known to the attacker.")
    steps.append("Was this a deploy or an operator? Then: agent baseline approve " + workload)
    return tuple(steps)
