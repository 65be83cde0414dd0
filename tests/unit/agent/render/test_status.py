"""`agent status` for people: what is on is told, what is not takes no line."""

import time
from typing import Any

from agent.render.status import status_text


def status(**workload: Any) -> dict[str, Any]:  # noqa: ANN401 - as the daemon answers
    head = {"host": "h", "health": "healthy", "tier": "trace", "version": "0", "abi": 4}
    return head | {"workloads": [{"name": "chat", "state": "guarding"} | workload]}


def test_a_tapped_workload_is_told_with_its_routes_and_the_age_of_its_salt() -> None:
    tap = {"since_unix_s": time.time() - 7200, "routes": ["a", "b"], "judged": ["a"], "refused": 0}
    text = status_text(status(tap=tap))
    assert "content tap   chat 1 of 2 routes judged, salt 2 h old" in text
    assert "not kept" not in text
    assert "3 readings of further ones not kept" in status_text(status(tap=tap | {"refused": 3}))


def test_without_a_tap_there_is_no_word_of_one() -> None:
    assert "tap" not in status_text(status(tap={}))
    assert "tap" not in status_text(status())
