"""What a suite did is kept for its own tree and kernel, and a run that broke off goes on there."""

from pathlib import Path

from tests.vm import root
from tests.vm.results import Results
from tests.vm.suites import Outcome, Suite

ONE = Suite("one", "is first", "true", 60)


def test_what_ended_is_there_again_with_its_date(tmp_path: Path) -> None:
    results = Results(tmp_path / "6.1", root.digest())
    results.keep(Outcome(ONE, "3 passed in 1.00s", 1, 2.5))
    again = results.of_suite(ONE)
    assert again is not None
    assert (again.output, again.status, again.seconds) == ("3 passed in 1.00s", 1, 2.5)
    assert again.date.startswith("20")


def test_what_did_not_end_is_run_again(tmp_path: Path) -> None:
    results = Results(tmp_path / "6.1", root.digest())
    results.keep(Outcome(ONE, "some words", None))
    assert results.of_suite(ONE) is None


def test_what_a_changed_tree_did_is_not_kept(tmp_path: Path) -> None:
    results = Results(tmp_path / "6.1", "another tree")
    results.keep(Outcome(ONE, "", 0))
    assert results.of_suite(ONE) is None


def test_two_kernels_and_a_smoke_share_nothing(tmp_path: Path) -> None:
    kinds = [
        Results.of(release, smoke=smoke, folder=tmp_path)
        for release, smoke in (("6.1", False), ("6.12", False), ("6.1", True))
    ]
    kinds[0].keep(Outcome(ONE, "", 0))
    assert [results.of_suite(ONE) is not None for results in kinds] == [True, False, False]
