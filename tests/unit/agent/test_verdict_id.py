"""Ids of verdicts: the same for the same window, sorted by time, and recognisable."""

from agent.verdict_id import is_verdict_id, verdict_id


def test_a_replay_names_its_verdicts_like_the_original() -> None:
    assert verdict_id(5, "h", "w", 7) == verdict_id(5, "h", "w", 7)


def test_every_argument_counts() -> None:
    ids = {
        verdict_id(*arguments)
        for arguments in ((5, "h", "w", 7), (6, "h", "w", 7), (5, "hw", "", 7), (5, "h", "w", 8))
    }
    assert len(ids) == 4


def test_ids_sort_by_time() -> None:
    hours = [verdict_id(hour * 3_600_000_000_000, "h", "w", 0) for hour in range(100)]
    assert hours == sorted(hours)


def test_only_the_form_of_an_id_passes_for_one() -> None:
    one = verdict_id(5, "h", "w", 7)
    assert is_verdict_id(one)
    assert not any(
        is_verdict_id(other) for other in (one[1:], one.lower(), one[:-1] + "'", None, 5)
    )
