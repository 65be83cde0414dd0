"""What of one kernel is not as it must be."""

import json
from typing import Any

import pytest

from tests.vm import counts
from tests.vm.counts import LIMIT, Counts
from tests.vm.load import REPORT
from tests.vm.row import NATIVE, Row
from tests.vm.suites import LOAD, Outcome, Suite


def _program(name: str, count: int, hook: str = "tp_btf/sys_exit") -> dict[str, Any]:
    words = "loads" if count else "EPERM: Operation not permitted"
    return {
        "program": name, "hook": hook, "works": bool(count), "words": words, "instructions": count,
    }  # fmt: skip


def _row(series: str, *programs: dict[str, Any], tier: str = "guard", status: int = 0) -> Row:
    report = {"tier": tier, "programs": programs, "attached": ["on_exec"]}
    return Row(series, series, [Outcome(LOAD, REPORT + json.dumps(report), status)])


def test_a_kernel_that_takes_everything_has_no_fault() -> None:
    row = _row("6.1", _program("on_exec", 7000), _program("guard_bpf", 60, "lsm/bpf"))
    assert row.faults() == []


def test_a_refused_program_is_a_fault() -> None:
    row = _row("6.1", _program("on_exec", 0), status=1)
    assert [fault.partition(":")[0] for fault in row.faults()] == ["load", "on_exec"]


def test_denial_must_load_where_debian_has_it_and_may_not_on_this_host() -> None:
    refused = _program("guard_bpf", 0, "lsm/bpf")
    assert len(_row("6.12", refused, tier="trace").faults()) == 2
    assert _row(NATIVE, refused, tier="trace").faults() == []


def test_under_a_kernel_that_is_refused_only_the_refusal_counts() -> None:
    row = Row("5.10", "5.10", [Outcome(Suite("refusal", "refuses", "true", 60), status=0)])
    assert row.tier == "refused"
    assert row.faults() == []
    row.outcomes[0].status = 1
    assert len(row.faults()) == 1


def test_a_suite_that_ran_without_the_loading_one_says_nothing_about_the_tier() -> None:
    alone = Outcome(Suite("guard", "denies", "true", 60), status=0)
    assert Row("6.12", "6.12", [alone]).faults() == []


def test_half_of_the_limit_is_near_it() -> None:
    row = _row("6.1", _program("on_exec", LIMIT // 2 + 1))
    assert row.program("on_exec") == "500,001 !"
    assert row.faults() == ["on_exec: near the verifier's limit"]


def test_growth_is_told_and_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "read", lambda: Counts({"6.1": {"on_exec": 4000}}))
    row = _row("6.1", _program("on_exec", 7000))
    assert row.growth() == ["on_exec: 4,000 -> 7,000 instructions"]
    assert row.program("on_exec") == "7,000 +"
    assert row.program("on_ring_submit") == "-"
