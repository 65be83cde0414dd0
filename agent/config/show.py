"""The settings in force, as rows: key, value and where it came from."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.config.reference import as_toml
from agent.config.schema import SECTIONS, Settings


@dataclass(frozen=True, slots=True)
class Effective:
    """One setting: its dotted key, its value as JSON has it and as TOML has it, and its origin."""

    key: str
    value: object
    shown: str
    origin: str


def effective(settings: Settings) -> list[Effective]:
    """Return every setting that has a value, in the order of the reference file."""
    pairs = [pair for name in SECTIONS for pair in _leaves(name, getattr(settings, name))]
    for index, workload in enumerate(settings.workload):
        pairs += _leaves(f"workload.{index}", workload)
    return [_row(settings, key, value) for key, value in pairs]


def _leaves(prefix: str, section: Any) -> Iterator[tuple[str, object]]:  # noqa: ANN401  (a section)
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if dataclasses.is_dataclass(value):
            yield from _leaves(f"{prefix}.{field.name}", value)
        elif value is not None:
            yield f"{prefix}.{field.name}", value


def _row(settings: Settings, key: str, value: object) -> Effective:
    origin = settings.origins.get(key)
    plain = str(value) if isinstance(value, Path) else value
    return Effective(key, plain, as_toml(value), str(origin) if origin else "default")
