"""In is out, lost and pending; what does not add up is told as a loss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.daemon import stages
from agent.daemon.stages import UNEXPLAINED, Stage

COUNT = st.integers(0, 1_000_000)


@given(COUNT, COUNT, COUNT)
def test_the_kernel_hands_on_what_found_room_and_kept_pace(
    submitted: int, beyond: int, full: int
) -> None:
    stage = stages.kernel(submitted, beyond, {"ring_full": full})
    assert stage.balance == 0
    assert stage.told()["lost"] == ({"ring_full": full} if full else {})
    assert stage.told().get("summarised", 0) == beyond
    assert stage.came == submitted + beyond + full


@given(told=COUNT, waiting=COUNT, gone=st.integers(0, 1000), later=st.integers(0, 50))
def test_a_crowd_that_vanished_from_the_map_is_lost_unexplained(
    told: int, waiting: int, gone: int, later: int
) -> None:
    stage = stages.crowds(told + waiting + gone, told, waiting)
    assert (stage.balance, stage.pending) == (gone, waiting)
    assert stages.crowds(told, told + later, waiting).balance == 0


@given(read=COUNT, taken=COUNT, waiting=COUNT)
def test_what_waits_in_the_ring_is_not_lost(read: int, taken: int, waiting: int) -> None:
    lost = {"taken_by_another": taken}
    stage = stages.ring(read + taken + waiting, read, waiting, lost)
    assert (stage.balance, stage.pending) == (0, waiting)


@given(read=COUNT, waiting=COUNT, gone=st.integers(1, 1000))
def test_what_was_submitted_and_is_not_in_the_ring_is_lost_unexplained(
    read: int, waiting: int, gone: int
) -> None:
    told = stages.ring(read + waiting + gone, read, waiting, {}).told()
    assert told["lost"] == {UNEXPLAINED: gone}


@given(counted=COUNT, behind=st.integers(0, 50), full=st.integers(0, 50))
def test_calls_counted_between_two_readings_wait_for_the_next(
    counted: int, behind: int, full: int
) -> None:
    stage = stages.calls(counted + behind + full, counted, full)
    assert (stage.balance, stage.pending) == (0, behind)


def test_sequences_that_an_earlier_daemon_left_to_tell_are_no_loss() -> None:
    assert stages.calls(100, 130, 0).told()["lost"] == {}


def test_what_nobody_can_know_is_null_and_never_zero() -> None:
    told = stages.marks({"members_full": 3, "read_fault": 0}).told()
    assert told == {
        "stage": "marks",
        "in": None,
        "out": None,
        "lost": {"members_full": 3},
        "pending": None,
    }


@pytest.mark.parametrize("stage", [stages.decode(7, 5, 1, 0), Stage("x", 3, 2, {}, 0)])
def test_one_missing_thing_is_told(stage: Stage) -> None:
    assert stage.told()["lost"][UNEXPLAINED] == 1


def test_sightings_go_to_watchers_to_the_self_test_and_to_nobody() -> None:
    stage = stages.items(9, {"watched": 5, "self_test": 1, "unwatched": 2}, {"of_no_workload": 1})
    assert stage.balance == 0
    assert stage.told()["self_test"] == 1


def test_losses_add_up_by_stage_and_reason() -> None:
    told = stages.summed([stages.kernel(1, 0, {"ring_full": 2}), stages.decode(4, 1, 3, 0)])
    assert told == {"kernel.ring_full": 2, "decode.rejected": 3}


def test_losses_by_level_have_the_level_in_the_reason() -> None:
    assert stages.by_level({"low": 2, "high": 0}, "disk_full") == {"disk_full_low": 2}


@pytest.mark.parametrize(("by_route", "full", "waits", "lost"), [
    (9, 0, 1, {}), (10, 0, 0, {}), (11, 0, 0, {}), (7, 2, 0, {"routes_full": 3}),
])  # fmt: skip
def test_requests_between_the_two_readings_are_neither_lost_nor_unexplained(
    by_route: int, full: int, waits: int, lost: dict[str, int]
) -> None:
    told = stages.requests(10, by_route, full).told()
    assert (told["in"], told["pending"], told["lost"]) == (10, waits, lost)
