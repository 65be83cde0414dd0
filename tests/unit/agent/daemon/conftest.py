"""What the kernel might tell, made by hand."""

from collections.abc import Callable
from typing import Any

import pytest

from collectors.sightings import Sighting

See = Callable[..., Sighting]


@pytest.fixture
def see() -> See:
    def make(kind: str, item: str, pid: int = 10, ppid: int = 1, **more: object) -> Sighting:
        facts: dict[str, Any] = {
            "workload": 1, "role": 0, "time_ns": 1_000, "uid": 33, "start_ns": 5, "cgroup": 7,
            "comm": "server",
        }  # fmt: skip
        return Sighting(kind, item, pid=pid, ppid=ppid, **(facts | more))

    return make
