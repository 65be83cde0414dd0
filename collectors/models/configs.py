"""Configurations beside the weights: what they make a loader import, and their chat templates."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final

from collectors.models import templates
from collectors.models.findings import Finding, Severity
from collectors.models.names import Name, is_dangerous
from collectors.models.place import Place

TEXT_MAX: Final = 64 << 20  # a tokenizer.json of a large vocabulary is 35 MB
_DEPTH_MAX: Final = 200
# NeMo and Hydra import what a target names; these are the libraries such models are made of.
_TARGET: Final = re.compile(r"^\s*_target_\s*:\s*['\"]?([\w.]+)", re.MULTILINE)
_TARGETS_KNOWN: Final = ("nemo.", "torch.", "pytorch_lightning.", "lightning.", "omegaconf.",
                         "transformers.", "megatron.", "apex.")  # fmt: skip


def is_config(name: str) -> bool:
    """Return whether a file of this name is read as configuration or template."""
    path = PurePath(name)
    return path.suffix in {".json", ".jinja", ".jinja2"} or path.name == "model_config.yaml"


def read_config(place: Place, name: str, data: bytes) -> Iterator[Finding]:
    """Yield what is wrong with one configuration; `data` is its whole content."""
    text = data.decode("utf-8", "replace")
    suffix = PurePath(name).suffix
    if suffix in {".jinja", ".jinja2"}:
        yield from template(place, text)
    elif suffix == ".yaml":
        yield from _targets(place, text)
    else:
        yield from _json(place, PurePath(name).name, text)


def template(place: Place, text: str, key: str = "") -> Iterator[Finding]:
    """Yield what is wrong with one chat template."""
    judged = templates.judge(text)
    if judged:
        rule = "template-danger" if judged[0] is Severity.DANGER else "template-odd"
        yield place.finding(rule, judged[0], f"{key}: {judged[1]}" if key else judged[1])


def _json(place: Place, name: str, text: str) -> Iterator[Finding]:
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        if name in {"config.json", "tokenizer_config.json", "generation_config.json"}:
            yield place.finding("broken", Severity.WARNING, f"no JSON: {error}")
        return
    if name == "modules.json" and isinstance(table, list):
        yield from _modules(place, table)
    if not isinstance(table, dict):
        return
    if name.endswith(".index.json"):
        yield from _index(place, table.get("weight_map"))
    if maps := _auto_maps(table):
        words = f"auto_map imports {', '.join(maps)}"
        if any("--" in entry for entry in maps):
            words += "; part of it comes from another repository"
        yield place.finding("remote-code", Severity.WARNING, words)
    if table.get("trust_remote_code") is True:
        yield place.finding("remote-code", Severity.WARNING, "it sets trust_remote_code")
    yield from _chat_templates(place, table.get("chat_template"))
    yield from keras(place, table)


def _auto_maps(table: Mapping[str, Any]) -> list[str]:
    """Return every class of every auto_map, also of nested configurations (CVE-2025-66448)."""
    found: list[str] = []
    waiting: list[Any] = [table]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            auto_map = value.get("auto_map")
            if isinstance(auto_map, dict):
                for entry in auto_map.values():
                    classes = entry if isinstance(entry, list) else [entry]
                    found += [str(one) for one in classes if one]
            waiting += value.values()
    return found


def _index(place: Place, shards: object) -> Iterator[Finding]:
    """Shards are opened by the names that the index gives them."""
    names = sorted({str(name) for name in shards.values()}) if isinstance(shards, dict) else []
    for name in names:
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            yield place.finding("index-escape", Severity.DANGER, f"weights are read from {name!r}")


def _modules(place: Place, modules: list[Any]) -> Iterator[Finding]:
    """SentenceTransformers imports the type of each module."""
    for module in modules:
        kind = str(module.get("type", "")) if isinstance(module, dict) else ""
        if kind and not kind.startswith("sentence_transformers."):
            severity = Severity.DANGER if _danger(kind) else Severity.WARNING
            yield place.finding("config-code", severity, f"it imports {kind}")


def _chat_templates(place: Place, value: object) -> Iterator[Finding]:
    if isinstance(value, str):
        yield from template(place, value, "chat_template")
    elif isinstance(value, list):
        for entry in value:
            if isinstance(entry, dict) and isinstance(entry.get("template"), str):
                yield from template(place, entry["template"], f"chat_template {entry.get('name')}")


def _targets(place: Place, text: str) -> Iterator[Finding]:
    for target in sorted(set(_TARGET.findall(text))):
        if _danger(target):
            yield place.finding("config-code", Severity.DANGER, f"_target_ calls {target}")
        elif not target.startswith(_TARGETS_KNOWN):
            yield place.finding("config-code", Severity.WARNING, f"_target_ imports {target}")


def keras(place: Place, table: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the layers of a Keras configuration that carry or import code (CVE-2025-1550)."""
    waiting: list[tuple[Any, int]] = [(table, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEPTH_MAX:
            yield place.finding("broken", Severity.WARNING, f"nested deeper than {_DEPTH_MAX}")
            return
        if isinstance(value, list):
            waiting += [(item, depth + 1) for item in value]
        elif isinstance(value, dict):
            yield from _layer(place, value)
            waiting += [(item, depth + 1) for item in value.values()]


def _layer(place: Place, value: Mapping[str, Any]) -> Iterator[Finding]:
    kind, module = value.get("class_name"), value.get("module")
    if kind in {"Lambda", "__lambda__"}:
        yield place.finding("keras-lambda", Severity.DANGER, "a Lambda layer is Python bytecode")
    elif isinstance(kind, str) and isinstance(module, str) and module:
        names = (value.get("config") or {}, kind)
        inner = names[0] if isinstance(names[0], str) else kind
        if is_dangerous(Name(module, inner)) or is_dangerous(Name(module, kind)):
            yield place.finding("config-code", Severity.DANGER, f"it imports {module}.{inner}")
        elif not module.startswith(("keras", "tensorflow", "tf_keras", "builtins")):
            yield place.finding("config-code", Severity.WARNING, f"it imports {module}.{inner}")


def _danger(dotted: str) -> bool:
    module, _, attribute = dotted.rpartition(".")
    return is_dangerous(Name(module, attribute))
