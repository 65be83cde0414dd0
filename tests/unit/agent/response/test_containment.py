import dataclasses
from typing import Any

import pytest

from agent.response.containment import (
    Containment,
    Event,
    ProcessId,
    State,
    Step,
    Target,
    advance,
    later,
)

BEGUN = Containment(
    id="a",
    target=Target("embedder", 7, (ProcessId(10, 20),)),
    step=Step.FREEZE,
    reason="a shell",
    who="agent",
    boot="b",
    begun_unix_ns=5,
    until_ns=9,
    planned=True,
    stopped_before=(ProcessId(11, 21),),
    cgroup="/x",
)


def test_json_and_back_is_the_same() -> None:
    assert Containment.from_json(BEGUN.as_json()) == BEGUN


def test_its_json_says_how_to_undo_it() -> None:
    assert BEGUN.as_json()["undo"] == "agent release a"


@pytest.mark.parametrize("step", Step)
def test_a_step_is_found_by_its_label(step: Step) -> None:
    assert Step.from_label(step.label) is step


@pytest.mark.parametrize("label", ["", "FREEZE", "Freeze", "thaw"])
def test_another_word_is_no_step(label: str) -> None:
    with pytest.raises(KeyError):
        Step.from_label(label)


def test_records_lead_from_intent_to_release() -> None:
    now: Containment | None = advance(None, {**BEGUN.as_json(), "event": "intent", "mono_ns": 1})
    records: list[dict[str, Any]] = [
        {"event": Event.SWITCHED, "kernel": True},
        {"event": Event.HELD, "how": "signals", "cgroup": "", "processes": ["1:2"], "running": []},
        {"event": Event.DONE},
        {"event": Event.RELEASE, "why": "expired"},
        {"event": Event.RELEASED},
    ]
    states = []
    for mono_ns, record in enumerate(records, start=2):
        now = advance(now, {**record, "id": "a", "mono_ns": mono_ns})
        states.append(now.state)
    assert states == [State.BEGUN, State.BEGUN, State.DONE, State.RELEASING, State.RELEASED]
    assert now is not None
    assert (now.held_ns, now.kernel, now.why_ended, now.live) == (3, True, "expired", False)
    assert now.processes == (ProcessId(1, 2),)


def test_a_record_of_a_containment_that_nothing_began_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing began"):
        advance(None, {"event": "done", "id": "x", "mono_ns": 1})


def test_raising_never_lowers_the_step_nor_shortens_the_time() -> None:
    lower = dataclasses.replace(BEGUN, step=Step.CONTAIN, until_ns=3, stopped_before=())
    raised = BEGUN.raised(lower)
    assert (raised.step, raised.until_ns) == (Step.FREEZE, 9)
    assert raised.stopped_before == BEGUN.stopped_before


def test_no_end_is_the_latest_end() -> None:
    assert (later(0, 5), later(5, 0), later(4, 5)) == (0, 0, 5)
