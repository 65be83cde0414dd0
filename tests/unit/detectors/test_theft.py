"""Weights that leave on the server's own connections are told by their share, once each."""

from dataclasses import replace

import pytest

from detectors.assessment import Assessment, Level
from detectors.baseline import Baseline
from detectors.judge import Judge
from detectors.window import ItemKind, Phase, Upload, Window
from tests.unit.detectors.factory import SETTINGS, guarding_judge, item, window

WEIGHTS = 100 << 20
NEW = "tcp 203.0.113.9:443"


def sending(at: int, *sent: tuple[str, int], weights_bytes: int = WEIGHTS) -> Window:
    uploads = tuple(Upload(peer, total, total) for peer, total in sent)
    return replace(window(at), uploads=uploads, weights_bytes=weights_bytes)


def told(found: Assessment) -> list[tuple[str, Level]]:
    return [(one.item, one.level) for one in found.novel if one.kind is ItemKind.MODEL]


def test_one_percent_is_high_and_ten_critical_and_each_is_told_once() -> None:
    judge = guarding_judge()
    shares = (0.005, 0.012, 0.013, 0.101, 0.2)
    found = [
        judge.observe(sending(at, (NEW, int(share * WEIGHTS))))
        for at, share in enumerate(shares, 100)
    ]
    assert [told(one) for one in found] == [
        [],
        [(f"1 % of its weights to {NEW}", Level.HIGH)],
        [],
        [(f"10 % of its weights to {NEW}", Level.CRITICAL)],
        [],
    ]
    assert "10,590,617 bytes" in found[3].summary
    assert "10.1 % of the 104,857,600 bytes of its weights" in found[3].summary
    assert {"T1041", "AML.T0025"} <= set(found[3].techniques)


def test_what_is_spread_over_many_peers_is_added_up() -> None:
    judge = guarding_judge()
    peers = [(f"tcp 203.0.113.{n}:443", 900 << 10) for n in range(12)]
    found = judge.observe(sending(100, *peers))
    assert told(found) == [("10 % of its weights to all its new peers", Level.CRITICAL)]


def test_what_one_peer_was_sent_is_not_told_again_for_all_of_them() -> None:
    judge = guarding_judge()
    first = judge.observe(sending(100, (NEW, WEIGHTS)))
    assert told(first) == [(f"10 % of its weights to {NEW}", Level.CRITICAL)]
    later = judge.observe(sending(101, (NEW, WEIGHTS), ("tcp 203.0.113.1:80", 0)))
    assert told(later) == []


def test_a_peer_that_was_learnt_is_not_counted() -> None:
    judge = guarding_judge()
    judge.baseline.approve([item("peer", NEW)])
    assert told(judge.observe(sending(100, (NEW, WEIGHTS)))) == []


@pytest.mark.parametrize(("sent", "weights_bytes"), [(60 << 10, 100_000), (WEIGHTS, 0)])
def test_a_question_s_worth_and_weights_unknown_say_nothing(sent: int, weights_bytes: int) -> None:
    found = guarding_judge().observe(sending(100, (NEW, sent), weights_bytes=weights_bytes))
    assert told(found) == []


def test_while_learning_nothing_is_told() -> None:
    judge = Judge(SETTINGS, Baseline("embedder"))
    assert told(judge.observe(sending(1, (NEW, WEIGHTS)))) == []


def reread(judge: Judge, at: int, read: int = 0, sent: int = 0) -> Assessment:
    readings = {"read_weights_bytes": float(read), "bytes_out_initiated": float(sent)}
    made = window(at)
    readings = {**made.features, **readings}
    return judge.observe(replace(made, features=readings, weights_bytes=WEIGHTS))


def test_weights_read_again_are_a_fact_for_the_record() -> None:
    judge = guarding_judge()
    found = reread(judge, 100, read=50 << 20)
    assert found.level is Level.LOW
    assert "read 10 % of its weights again" in found.summary
    assert not reread(judge, 101, read=50 << 20).novel


def test_weights_read_again_and_sent_are_a_model_that_leaves() -> None:
    """To peers that were learnt, so slowly that no window stands out by itself."""
    judge = guarding_judge()
    reread(judge, 100, read=20 << 20)
    levels = [reread(judge, at, sent=700 << 10).level for at in range(101, 120)]
    assert max(levels) is Level.HIGH
    assert levels[-1] < Level.MEDIUM  # told once


def test_weights_read_while_it_starts_are_nothing() -> None:
    judge = guarding_judge()
    made = window(100, phase=Phase.STARTUP, read_weights_bytes=float(90 << 20))
    assert not judge.observe(replace(made, weights_bytes=WEIGHTS)).novel
