"""What an engine's file calls management, the judge calls management: one list in two places."""

import re

import pytest

from collectors.engines import Rulebook
from collectors.engines.schema import Endpoint
from detectors.assessment import Level
from detectors.sensitive import sensitivity
from detectors.window import Item, ItemKind

ENDPOINTS = [
    pytest.param(one, id=f"{engine.name} {one.method} {one.path}")
    for engine in Rulebook.load().engines.values()
    for one in engine.endpoint
]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_management_call_of_an_engine_is_grave_to_the_judge(endpoint: Endpoint) -> None:
    path = re.sub(r"\{\w+\}", "x", endpoint.path)
    found = sensitivity(Item(ItemKind.ENDPOINT, f"{endpoint.method} {path}", "", 0, 0))
    assert found is not None
    assert found.level is Level.HIGH
