from __future__ import annotations

import pytest

from detectors.assessment import Level
from detectors.judge import Judge
from detectors.window import Item
from tests.unit.detectors.factory import guarding_judge, item


def questions(names: list[str], apart_s: float = 0.1) -> list[Item]:
    return [item("peer", f"dns {name}", at_s=60 + n * apart_s) for n, name in enumerate(names)]


def asked(judge: Judge, names: list[str], apart_s: float = 0.1) -> Level:
    told = [judge.assess_items([one]) for one in questions(names, apart_s)]
    return max(one.level for one in told if one)


def test_many_new_names_of_one_domain_are_a_tunnel() -> None:
    judge = guarding_judge()
    found = judge.assess_items(questions([f"{n:032x}.t.example.org" for n in range(8)]))
    assert found is not None
    assert found.level is Level.HIGH
    assert found.novel[0].item == "dns *.example.org"
    assert "T1048.003" in found.techniques
    assert "asked for many host names below example.org" in found.summary


def test_questions_add_up_when_each_comes_alone() -> None:
    assert asked(guarding_judge(), [f"{n}.example.org" for n in range(8)]) is Level.HIGH


@pytest.mark.parametrize(
    "names",
    [
        [f"{n}.example.org" for n in range(7)],
        ["example.org"] * 9,
        [f"cdn.example{n}.org" for n in range(9)],
    ],
)
def test_a_few_names_or_names_of_many_domains_are_none(names: list[str]) -> None:
    assert asked(guarding_judge(), names) is Level.MEDIUM


def test_names_minutes_apart_are_none() -> None:
    names = [f"{n}.example.org" for n in range(9)]
    assert asked(guarding_judge(), names, apart_s=30.0) is Level.MEDIUM


def test_a_domain_that_was_approved_is_none() -> None:
    judge = guarding_judge()
    judge.baseline.approve([item("peer", "dns *.example.org")])
    assert asked(judge, [f"{n}.example.org" for n in range(9)]) is Level.MEDIUM
