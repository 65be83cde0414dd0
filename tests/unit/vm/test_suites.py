"""What a machine printed is taken apart into its suites, whole or cut."""

from tests.vm.suites import SKIPPED, Suite, outcomes, script

ONE = Suite("one", "is first", "true", 60)
TWO = Suite("two", "is second", "false", 60)


def test_each_suite_has_its_output_status_and_time() -> None:
    printed = (
        "suite-begin one 1.0\nhello\nsuite-end one 0 3.5\nsuite-begin two 4.0\nsuite-end two 1 5.0"
    )
    one, two = outcomes((ONE, TWO), printed)
    assert (one.output, one.status, one.seconds, one.passed) == ("hello\n", 0, 2.5, True)
    assert (two.status, two.passed) == (1, False)


def test_an_end_behind_a_line_without_one_is_found() -> None:
    printed = "suite-begin one 1.0\n...suite-end one 0 2.0"
    (one,) = outcomes((ONE,), printed)
    assert (one.status, one.words) == (0, "...")


def test_a_suite_that_hung_is_told_with_its_limit() -> None:
    (one,) = outcomes((ONE,), "suite-begin one 1.0\nsuite-end one 124 61.0")
    assert (one.passed, one.words) == (False, "CUT after 60 s")


def test_a_machine_that_stopped_is_no_pass() -> None:
    one, two = outcomes((ONE, TWO), "suite-begin one 1.0\nsome words")
    assert (one.status, one.output, one.passed) == (None, "some words", False)
    assert (two.status, two.passed) == (None, False)


def test_what_pytest_counted_is_the_cell() -> None:
    printed = (
        "suite-begin one 1.0\nSKIPPED [1] tests/host/a.py:7: no compiler\n"
        "211 passed, 1 skipped in 3.10s\nsuite-end one 0 9.0"
    )
    (one,) = outcomes((ONE,), printed)
    assert one.words == "211 passed, 1 skipped"
    assert one.skips == ["tests/host/a.py:7: no compiler"]


def test_a_suite_that_does_not_apply_passes_and_says_why() -> None:
    printed = f"suite-begin one 1.0\ntrace: no LSM\nsuite-end one {SKIPPED} 2.0"
    (one,) = outcomes((ONE,), printed)
    assert (one.passed, one.skips) == (True, ["trace: no LSM"])


def test_the_script_cuts_each_suite_at_its_limit() -> None:
    text = script((ONE, TWO))
    assert text.count("timeout --kill-after=10 60 sh -c") == 2
