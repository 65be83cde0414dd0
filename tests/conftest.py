"""What every test shares: how the tiers are told apart, and repeatable generated input."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

HERE = Path(__file__).parent

# Two runs try the same cases, and a slow machine is no failure: what is found is reproducible.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark host and vm tests by where they stand; without root, they say what is missing."""
    for item in items:
        tier = item.path.relative_to(HERE).parts[0]
        if tier not in {"host", "vm"}:
            continue
        item.add_marker(tier)
        if os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="privileges missing: run as root"))
