"""The attack prior: what attacks add, weighed against what a server does."""

import numpy as np
import pytest

from agent.prior import shipped_prior
from detectors import words
from detectors.baseline import Baseline
from detectors.errors import BaselineCorruptError
from detectors.judge import Judge
from detectors.prior import MIN_RECORDINGS, AttackPrior, unexplained
from probes import syscalls
from tests.unit.detectors.factory import ATTACK, SETTINGS, guarding_judge, window

STRANGE = "mmap futex lseek epoll_ctl close futex read lseek epoll_ctl futex mmap close"


def sequences(text: str) -> words.Words:
    return words.from_numbers([syscalls.number(name) for name in text.split()])


def knowing(*attacks: str) -> AttackPrior:
    prior = AttackPrior()
    others = [np.zeros(0, np.uint64)] * MIN_RECORDINGS  # of attacks that make no unusual calls
    prior.learn([*map(sequences, attacks), *others])
    return prior


@pytest.fixture(scope="module")
def guarding() -> bytes:
    return guarding_judge().baseline.to_bytes()


def judge(guarding: bytes, prior: AttackPrior | None) -> Judge:
    return Judge(SETTINGS, Baseline.from_bytes(guarding), prior=prior)


def test_what_resembles_an_attack_scores_above_what_is_merely_new(guarding: bytes) -> None:
    here = judge(guarding, knowing(f"futex {ATTACK}", f"read write {ATTACK} close"))
    attack, new, usual = (
        here.baseline.scores(window(200, extra=extra))["likeness"]
        for extra in (ATTACK, STRANGE, "")
    )
    assert attack > new >= 0
    assert usual == 0


def test_likeness_is_told_with_the_assessment(guarding: bytes) -> None:
    found = judge(guarding, knowing(ATTACK)).observe(window(200, extra=ATTACK))
    assert found.likeness is not None
    assert found.likeness > 16


def test_without_a_prior_nothing_is_said_of_likeness(guarding: bytes) -> None:
    here = judge(guarding, None)
    assert "likeness" not in here.baseline.scores(window(200, extra=ATTACK))
    assert here.observe(window(200, extra=ATTACK)).likeness is None


def test_a_prior_of_few_recordings_says_nothing(guarding: bytes) -> None:
    few = AttackPrior()
    few.learn([sequences(ATTACK)] * (MIN_RECORDINGS - 1))
    assert "likeness" not in judge(guarding, few).baseline.scores(window(200, extra=ATTACK))
    few.learn([sequences(ATTACK)])
    assert "likeness" in judge(guarding, few).baseline.scores(window(200, extra=ATTACK))


def test_calls_like_an_attacks_add_to_the_evidence() -> None:
    """Calibrated with the prior in place, as live."""
    found = {}
    for name, prior in (("with", knowing(ATTACK)), ("without", None)):
        learnt = Judge(SETTINGS, Baseline("embedder"), prior=prior)
        for at in range(54):
            learnt.observe(window(at))
        learnt.observe(window(54, extra=ATTACK))
        found[name] = learnt.evidence.channels
    assert set(found["with"]) - set(found["without"]) == {"likeness"}
    assert found["with"]["likeness"] > 1


def test_an_attack_weighs_once_however_long_it_was_drilled() -> None:
    prior = knowing(ATTACK, " ".join([STRANGE] * 50))
    assert set(prior.model.counts.tolist()) == {1}


def test_what_ordinary_life_adds_too_is_no_part_of_an_attack() -> None:
    attack, ordinary = sequences(f"{STRANGE} {ATTACK}"), np.unique(sequences(STRANGE))
    left = unexplained(attack, [ordinary])
    assert not np.isin(left, ordinary).any()
    assert len(left) == len(np.unique(attack)) - len(ordinary)


def test_bytes_of_a_baseline_are_no_prior(guarding: bytes) -> None:
    with pytest.raises(BaselineCorruptError, match="something else"):
        AttackPrior.from_bytes(guarding)


def test_the_shipped_prior_is_small_and_knows_how_programs_are_started() -> None:
    prior = shipped_prior()
    assert prior.recordings >= 40
    assert len(prior.to_bytes()) < 64 << 10
    started = sequences("execve brk mmap access openat newfstatat mmap close openat read")[1:]
    quiet = sequences("epoll_wait recvfrom futex sendto close epoll_ctl futex futex read lseek")
    bits = [prior.bits(one) for one in (started, quiet)]
    assert bits[0] is not None
    assert bits[1] is not None
    assert bits[0].mean() < bits[1].mean()
