"""Each file of tests/host stands in one row of the matrix, and each boot is bounded."""

from collections import Counter

from tests.vm.capabilities import CAPABILITIES
from tests.vm.matrix import SESSION_S, boots
from tests.vm.suites import CHECKOUT, SUITES, Suite


def test_each_file_of_tests_host_holds_one_capability() -> None:
    there = {path.stem for path in (CHECKOUT / "tests/host").glob("test_*.py")}
    named = Counter(f"test_{file}" for one in CAPABILITIES for file in one.files)
    assert set(named) == there
    assert set(named.values()) == {1}


def test_a_boot_has_one_kind_of_machine_and_bounded_time() -> None:
    divided = list(boots(SUITES, smoke=False))
    assert [suite for together in divided for suite in together] == list(SUITES)
    for together in divided:
        assert len({(suite.systemd, suite.packages) for suite in together}) == 1
        assert len(together) == 1 or sum(suite.limit_s for suite in together) <= SESSION_S


def test_a_smoke_is_one_boot() -> None:
    kinds = (Suite("a", "", "true", 900), Suite("b", "", "true", 900, systemd=True))
    assert list(boots(kinds, smoke=True)) == [kinds]
