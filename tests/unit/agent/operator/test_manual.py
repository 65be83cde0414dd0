"""inferward-probes.d(5) is made of the keys that the agent checks."""

import dataclasses
import runpy
from pathlib import Path
from typing import Any

import pytest

from agent.operator.declaration import Attach, Declaration, Fields

GENERATE = Path(__file__).parents[4] / "packaging/man/generate.py"


@pytest.fixture(scope="module")
def manual() -> dict[str, Any]:
    return runpy.run_path(str(GENERATE))


def test_every_key_is_in_the_manual_with_its_default(manual: dict[str, Any]) -> None:
    page = manual["probes_page"]()
    for kind in (Declaration, Fields, Attach):
        for one in dataclasses.fields(kind):
            assert one.name in page
    assert "Default: 2000." in page
    assert 'Default: ["*"].' in page
    assert page.count("Default: null") == 0


def test_both_pages_lie_where_man_looks(manual: dict[str, Any]) -> None:
    install = (GENERATE.parents[1] / "install.sh").read_text()
    for place in ("man/man1/agent.1", "man/man5/inferward-probes.d.5"):
        assert f"share/{place}" in install
