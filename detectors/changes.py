"""How serious it is to change a name or an attribute: measured against the same write.

What writes do in a place, renames, links and removals do as well: `detectors.novelty` says what a
write there would weigh. This module says what a change weighs more, or less.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from detectors.assessment import Level
from detectors.generalise import generalise, own_process
from detectors.window import TEMPORARY, Item, ItemKind

if TYPE_CHECKING:
    from detectors.repertoire import Repertoire

CHANGES: Final = frozenset(
    {
        "renamed-from", "renamed-to", "linked-from", "linked-to", "symlinked", "removed",
        "made-directory", "removed-directory", "made-node", "truncated-to", "emptied", "mode",
        "owner", "attribute", "times", "mounted", "unmounted", "flags",
    }
)  # fmt: skip
"""Marks that make a write item a change of a name or an attribute; each has one of them."""

MODEL_FILE: Final = re.compile(
    r"\.(?:safetensors|gguf|ggml|onnx|pt|pth|ckpt|pb|tflite|engine|plan|npz|npy|h5|hdf5|keras|joblib"
    r"|pkl|pickle|model|mlmodel|msgpack|bin|weights)$"
    r"|/(?:config|tokenizer|tokenizer_config|generation_config|adapter_config|vocab|modules"
    r"|special_tokens_map|preprocessor_config|chat_template)\.json$"
    r"|/(?:merges\.txt|config\.pbtxt|chat_template\.jinja|model_config\.yaml)$"
    r"|/blobs/(?:sha256[-:])?[0-9a-f]{40,64}$"
)
LOG_FILE: Final = re.compile(r"^/var/log/|\.log(?:[.-][\w.-]+)?$|/logs?/[^/]+$")
_TEMPORARY: Final = re.compile(r"^/(?:tmp|var/tmp|dev/shm|run|var/run|memfd:)")

_LOSING: Final = frozenset({"removed", "renamed-from", "truncated-to", "emptied"})
_PLACES: Final = frozenset({"made-directory", "removed-directory", "times"})

Verdict = tuple[Level, str, tuple[str, ...]]


def change_of(marks: Iterable[str]) -> str:
    """Return which change these marks tell of; empty for a write, and for anything else."""
    return next((mark for mark in marks if mark in CHANGES), "")


def weigh(item: Item, known: Repertoire, written: Verdict) -> Verdict:
    """Judge a change of no sensitive class.

    Args:
        item: A write item with one of `CHANGES`.
        known: What this workload's roles were seen to do.
        written: What a write to the same path would weigh.
    """
    change, path = change_of(item.marks), own_process(item.item, item.pid)
    if "executable" in item.marks and "directory" not in item.marks:
        return _executable(item, known, written)
    if known.knows_place(item):
        return Level.INFO, "a change beside those it makes", ()
    if change in _LOSING:
        return _loss(item, path, known, written)
    level, reason, techniques = written
    if change in _PLACES and level < Level.HIGH:
        return min(level, Level.LOW), reason, ("T1070.006",) if change == "times" else ()
    return level, reason, techniques


def _executable(item: Item, known: Repertoire, written: Verdict) -> Verdict:
    if known.knows_place(item):
        return Level.INFO, "a file made executable beside others it makes so", ()
    if known.knows_place_beside(item):
        return Level.LOW, "a file made executable near others it makes so", ()
    return max(
        written,
        (Level.HIGH, "a file that can be run from now on", ("T1222.002", "T1059", "AML.T0050")),
        key=lambda verdict: verdict[0],
    )


def _loss(item: Item, path: str, known: Repertoire, written: Verdict) -> Verdict:
    """Judge the end of a file under its name: removal, another name, a cut."""
    is_log, own = bool(LOG_FILE.search(path)), known.knows_used(item, ItemKind.WRITE)
    temporary = TEMPORARY in item.marks or bool(_TEMPORARY.search(path))
    if item.marks & {"removed", "truncated-to", "emptied"} and is_log:
        if own:
            return Level.MEDIUM, "its own log, with what stood in it", ("T1070.004",)
        if written[0] > Level.INFO and not temporary:
            return Level.HIGH, "a log, with what stood in it", ("T1070.002", "T1070.004")
    if MODEL_FILE.search(path) and not own:
        if known.knows_folder(generalise(item, sensitive=False), (ItemKind.WRITE,)):
            return max(
                written, (Level.LOW, "a model file is gone from its place", ("T1485",)),
                key=lambda verdict: verdict[0],
            )  # fmt: skip
        if known.knows_used(item, ItemKind.FILE) or not temporary:
            return (
                Level.HIGH,
                "a model file is gone from a place it only read",
                ("T1485", "AML.T0029", "AML.T0018.000"),
            )
    if temporary:
        return Level.INFO, "a temporary file is gone", ()
    return written
