"""Workloads as a CycloneDX 1.6 machine-learning bill of materials.

Source: CycloneDX 1.6 JSON schema; component types machine-learning-model, library, application and
device.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from agent import VERSION
from agent.models.census import Model, Page
from collectors.models.artifacts import format_of


def bom(pages: Sequence[Page], host: str, time_ns: int) -> dict[str, Any]:
    """Return one document for all workloads of a host; `time_ns` is Unix time.

    References carry the workload's name: the same path in two containers is two files.
    """
    components: dict[str, dict[str, Any]] = {}
    dependencies = []
    for page in pages:
        parts = _parts(page)
        components |= {part["bom-ref"]: part for part in parts}
        engine, *rest = (part["bom-ref"] for part in parts)
        dependencies.append({"ref": engine, "dependsOn": sorted(rest)})
    root = {"type": "platform", "name": host, "bom-ref": f"host:{host}"}
    engines = [entry["ref"] for entry in dependencies]
    made = datetime.fromtimestamp(time_ns // 1_000_000_000, tz=UTC)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {
                "components": [{"type": "application", "name": "inferward", "version": VERSION}]
            },
            "component": root,
        },
        "components": list(components.values()),
        "dependencies": [{"ref": root["bom-ref"], "dependsOn": engines}, *dependencies],
    }


def _parts(page: Page) -> list[dict[str, Any]]:
    """Return the components of one workload, its engine first."""
    engine = _named({
        "type": "application",
        "bom-ref": f"workload:{page.name}",
        "name": page.engine,
        "version": page.version,
        "properties": _properties(
            workload=page.name,
            why="; ".join(page.why),
            ports=", ".join(map(str, page.ports)),
            **{f"role:{role}": str(len(pids)) for role, pids in page.roles.items()},
        )
        + [
            {"name": f"inferward:finding:{one.finding}", "value": one.seen}
            for one in page.weaknesses
        ],
    })  # fmt: skip
    models = [_model(page.name, model) for model in page.models]
    libraries = [
        {
            "type": "library",
            "bom-ref": f"library:{page.name}:{one.directory}:{one.name}",
            "name": one.name,
            "version": one.version,
            "purl": f"pkg:pypi/{one.name}@{quote(one.version)}",
            "properties": _properties(mapped=str(one.mapped).lower(), directory=one.directory),
        }
        for one in page.libraries
    ]
    drivers = [
        {
            "type": "library",
            "bom-ref": f"driver:{page.name}:{name}:{version}",
            "name": name,
            "version": version,
        }
        for name, version in page.drivers
    ]
    devices = [
        {"type": "device", "bom-ref": f"device:{page.name}:{path}", "name": path}
        for path in page.devices
    ]
    return [engine, *models, *libraries, *drivers, *devices]


def _model(workload: str, model: Model) -> dict[str, Any]:
    size = "" if model.size_bytes is None else str(model.size_bytes)
    component: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": f"model:{workload}:{model.path}",
        "name": PurePosixPath(model.path).name,
        "properties": _properties(
            path=model.path, seen=model.how, size_bytes=size, format=format_of(model.path)
        ),
    }
    if model.sha256:
        component["hashes"] = [{"alg": "SHA-256", "content": model.sha256}]
    return component


def _properties(**values: str) -> list[dict[str, str]]:
    return [{"name": f"inferward:{k}", "value": value} for k, value in values.items() if value]


def _named(component: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in component.items() if value}
