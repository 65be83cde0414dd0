from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from detectors import refusals
from detectors.assessment import BaselineState, Level
from detectors.baseline import Baseline, difference
from detectors.errors import BaselineCorruptError, LifeError
from detectors.judge import Judge
from detectors.window import Item, ItemKind, Phase, Upload, stranger
from tests.unit.detectors.factory import (
    ATTACK,
    MODEL,
    SETTINGS,
    USUAL,
    guarding_judge,
    item,
    window,
)


@pytest.fixture(scope="module")
def guarding() -> bytes:
    return guarding_judge().baseline.to_bytes()


@pytest.fixture
def judge(guarding: bytes) -> Judge:
    return Judge(SETTINGS, Baseline.from_bytes(guarding))


def test_life_goes_from_learning_over_shadow_to_guarding() -> None:
    judge = Judge(SETTINGS, Baseline("embedder"))
    judge.observe(window(0, *USUAL))
    states = [judge.observe(window(at)).state for at in range(1, 60)]
    assert list(dict.fromkeys(states)) == [
        BaselineState.LEARNING,
        BaselineState.SHADOW,
        BaselineState.GUARDING,
    ]


def test_time_alone_opens_no_gate() -> None:
    judge = Judge(SETTINGS, Baseline("embedder"))
    for at in range(0, 400, 4):
        judge.observe(window(at, phase=Phase.STARTUP))
    assert judge.baseline.state is BaselineState.LEARNING
    assert judge.baseline.missing(SETTINGS, 10**12)


def test_something_new_restarts_the_quiet_period() -> None:
    judge = Judge(SETTINGS, Baseline("embedder"))
    judge.observe(window(0, *USUAL))
    for at in range(1, 80):
        news = [item("exec", f"/usr/bin/tool{chr(97 + at // 8)}", at_s=at)] if at % 8 == 0 else []
        judge.observe(window(at, *news))
    assert judge.baseline.state is BaselineState.LEARNING


def test_something_new_in_shadow_goes_back_to_learning() -> None:
    judge = Judge(SETTINGS, Baseline("embedder"))
    judge.observe(window(0, *USUAL))
    for at in range(1, 45):
        judge.observe(window(at))
    assert str(judge.baseline.state) == "shadow"
    judge.observe(window(45, item("peer", "tcp 10.0.0.9:443", at_s=45)))
    assert str(judge.baseline.state) == "learning"
    assert "10.0.0.9" in judge.baseline.reason


def test_sensitive_thing_in_shadow_is_reported_and_not_learnt() -> None:
    judge = Judge(SETTINGS, Baseline("embedder"))
    judge.observe(window(0, *USUAL))
    for at in range(1, 45):
        judge.observe(window(at))
    found = judge.observe(window(45, item("exec", "/bin/sh", at_s=45)))
    assert found.level is Level.CRITICAL
    assert judge.assess_item(item("exec", "/bin/sh", at_s=46)) is not None


def test_memory_only_program_is_reported_while_learning_and_not_learnt() -> None:
    judge = Judge(SETTINGS, Baseline("embedder"))
    odd = item("exec", "/memfd:x", marks=("memfd",))
    assert judge.observe(window(0, odd)).level is Level.HIGH
    assert not judge.baseline.repertoire.knows(odd)


def test_ordinary_windows_stay_quiet(judge: Judge) -> None:
    levels = [judge.observe(window(at)).level for at in range(60, 160)]
    assert max(levels) <= Level.LOW


def test_reload_of_the_model_stays_low(judge: Judge) -> None:
    news = [
        item("file", MODEL, at_s=61),
        item("file", "/srv/models/digits/v2/model.onnx", at_s=61),
        item("file", "/srv/venv/lib/python3.11/site-packages/onnx/helper.py", at_s=61),
        item("write", "/tmp/tmpqqqq7777/x", at_s=61),
    ]
    found = judge.observe(
        window(61, *news, phase=Phase.RELOAD, opens=300.0, read_bytes=1e8, rss_bytes=4e8)
    )
    assert found.level <= Level.LOW


def test_load_peak_and_idle_night_stay_low(judge: Judge) -> None:
    levels = [judge.observe(window(at, load=10.0)).level for at in range(60, 120)]
    levels += [judge.observe(window(at, load=0.01)).level for at in range(120, 160)]
    assert max(levels) <= Level.LOW


def test_attack_is_critical_and_named_in_the_sentence(judge: Judge) -> None:
    news = [
        item("file", "/home/anna/.netrc", at_s=60),
        item("exec", "/usr/bin/dash", at_s=60.1),
        item("peer", "tcp 127.0.0.1:9009", at_s=60.2),
    ]
    found = judge.observe(window(60, *news, extra=ATTACK))
    assert found.level is Level.CRITICAL
    for text in ("embedder", "/usr/bin/dash", "/home/anna/.netrc", "127.0.0.1:9009"):
        assert text in found.summary
    assert {"T1059.004", "AML.T0055"} <= set(found.techniques)
    assert any(not gram.seen and "execve" in gram.calls for gram in found.grams)


def test_two_kinds_of_novelty_within_seconds_are_critical(judge: Judge) -> None:
    first = judge.assess_items([item("exec", "/opt/x/unheard-of", at_s=60)])
    second = judge.assess_items([item("peer", "tcp 10.9.8.7:443", at_s=63)])
    assert first is not None
    assert first.level is Level.HIGH
    assert second is not None
    assert second.level is Level.CRITICAL


def test_two_kinds_of_novelty_far_apart_are_not(judge: Judge) -> None:
    judge.assess_items([item("exec", "/opt/x/unheard-of", at_s=60)])
    second = judge.assess_items([item("peer", "tcp 10.9.8.7:443", at_s=90)])
    assert second is not None
    assert second.level is Level.HIGH


def test_what_follows_a_release_does_not_complete_what_was_released(judge: Judge) -> None:
    judge.assess_items([item("exec", "/opt/x/unheard-of", at_s=60)])
    judge.settle(62_000_000_000)
    after = judge.assess_items([item("file", "/srv/elsewhere/served.py", at_s=63)])
    assert after is not None
    assert after.level is Level.MEDIUM
    judge.assess_items([item("exec", "/opt/x/another", at_s=64)])
    again = judge.assess_items([item("peer", "tcp 10.9.8.7:443", at_s=65)])
    assert again is not None
    assert again.level is Level.CRITICAL


def test_loss_never_hides_a_sensitive_thing(judge: Judge) -> None:
    found = judge.observe(window(60, item("exec", "/bin/sh", at_s=60), lost=100_000))
    assert found.level is Level.CRITICAL
    assert found.p_value == 1.0


def test_upload_beyond_the_learnt_one_is_high(judge: Judge) -> None:
    found = judge.observe(window(60, bytes_out_initiated=2e7))
    assert found.level is Level.HIGH
    assert found.features[0].name == "bytes_out_initiated"


def test_guarding_windows_never_feed_the_reference(judge: Judge) -> None:
    before = judge.baseline.to_bytes()
    for at in range(60, 70):
        judge.observe(window(at, item("peer", "tcp 10.9.8.7:443", at_s=at)))
    assert judge.baseline.to_bytes() == before


def test_learning_outside_learning_is_refused(judge: Judge) -> None:
    with pytest.raises(LifeError, match="guarding"):
        judge.baseline.learn(window(60))


def test_approval_makes_a_thing_ordinary(judge: Judge) -> None:
    odd = item("exec", "/usr/bin/nvidia-smi", at_s=60)
    new = judge.assess_item(odd)
    assert new is not None
    assert judge.baseline.approve([new]) == 1
    assert judge.assess_item(odd) is None


def test_baseline_survives_bytes_and_judges_the_same(judge: Judge, guarding: bytes) -> None:
    twin = Judge(SETTINGS, Baseline.from_bytes(guarding))
    for at in range(60, 80):
        assert judge.observe(window(at, extra=ATTACK)) == twin.observe(window(at, extra=ATTACK))


@pytest.mark.parametrize("damage", ["cut", "flip", "version", "other", "pickle", "empty"])
def test_damaged_bytes_are_refused(guarding: bytes, damage: str) -> None:
    spoilt = {
        "cut": guarding[:-20],
        "flip": guarding[:-5] + bytes([guarding[-5] ^ 1]) + guarding[-4:],
        "version": guarding.replace(b"BASELINE\n\x01", b"BASELINE\n\x09", 1),
        "other": b"something else entirely",
        "pickle": pickle.dumps({"a": 1}),
        "empty": b"",
    }[damage]
    with pytest.raises(BaselineCorruptError):
        Baseline.from_bytes(spoilt)


def test_harmless_novelty_that_repeats_weighs_once(judge: Judge) -> None:
    odd = "timerfd_settime epoll_wait timerfd_settime epoll_wait"
    first, *later = [judge.observe(window(at, extra=odd)) for at in range(60, 90)]
    assert any(not gram.seen for gram in first.grams)
    assert any(not gram.seen for gram in later[-1].grams)
    assert max(found.level for found in later) <= Level.LOW


def test_numbers_alone_stay_medium_after_a_short_shadow(judge: Judge) -> None:
    found = [judge.observe(window(at, opens=5e4, forks=300.0)) for at in range(60, 200)]
    assert max(one.level for one in found) is Level.MEDIUM
    assert found[-1].budget_spent > 1
    assert found[-1].features[0].name in {"opens", "forks"}


def test_unlearnt_crash_lowers_the_bar_for_what_follows(judge: Judge) -> None:
    assert judge.observe(window(60, crashes=1.0)).level is Level.MEDIUM
    found = judge.assess_items([item("peer", "tcp 10.9.8.7:443", at_s=63)])
    assert found is not None
    assert found.level is Level.CRITICAL


def test_a_burst_of_crashes_is_high_and_one_of_them_is_not(judge: Judge) -> None:
    def crash(at_s: float, pid: int) -> Item:
        return item("probe", "crash SIGSEGV", at_s=at_s, pid=pid, marks=("crash",))

    first = [judge.assess_items([crash(60 + 5 * n, 70 + n)]) for n in range(2)]
    assert [one.level for one in first if one] == [Level.MEDIUM, Level.MEDIUM]
    third = judge.assess_items([crash(66, 72)])
    assert third is not None
    assert third.level is Level.HIGH
    assert third.novel[0].level is Level.MEDIUM  # which one by itself remains
    slow = [judge.assess_items([crash(100 + 11 * n, 80 + n)]) for n in range(5)]
    assert {one.level for one in slow if one} == {Level.MEDIUM}


def test_weights_from_elsewhere_are_serious_and_those_beside_its_own_are_not(judge: Judge) -> None:
    found = judge.assess_items([item("file", "/data/vault/weights.safetensors", at_s=60)])
    assert found is not None
    assert found.level is Level.HIGH
    judge.baseline.repertoire.add(item("file", "/models/a/1/model.safetensors"))
    for path in ("/models/a/1/model-2.safetensors", "/models/a/2/model.safetensors"):
        beside = judge.assess_item(item("file", path, at_s=61))
        assert beside is None or beside.level <= Level.LOW


def test_difference_names_what_one_baseline_knows_and_the_other_does_not(judge: Judge) -> None:
    other = Baseline.from_bytes(judge.baseline.to_bytes())
    other.approve([item("exec", "/usr/bin/nvidia-smi")])
    added, gone = difference(judge.baseline, other)
    assert added == [("main", ItemKind.EXEC, "/usr/bin/nvidia-smi")]
    assert gone == []


def test_questioned_baseline_still_judges_and_may_learn_anew(judge: Judge) -> None:
    judge.baseline.question("another executable")
    found = judge.observe(window(60, item("exec", "/bin/sh", at_s=60)))
    assert found.state is BaselineState.QUESTIONED
    assert found.level is Level.CRITICAL
    judge.baseline.relearn("somebody said so")
    assert judge.observe(window(61)).state is BaselineState.LEARNING


def test_an_upload_beyond_the_learnt_one_names_where_it_went(judge: Judge) -> None:
    sent = (Upload("tcp 10.0.0.9:443", 19_000_000, 25_000_000), Upload("tcp 10.0.0.8:80", 5, 5))
    found = judge.observe(replace(window(60, bytes_out_initiated=2e7), uploads=sent))
    assert found.level >= Level.HIGH
    assert "19,000,000 bytes to tcp 10.0.0.9:443 (25,000,000 so far)" in found.summary
    assert found.uploads == sent


def refusal(port: int, at_s: float, host: str = "10.0.0.7") -> Item:
    return item("peer", f"refused tcp {host}:{port}", at_s=at_s, marks=("econnrefused",))


def test_many_peers_that_do_not_answer_within_seconds_are_a_search(judge: Judge) -> None:
    for at in range(refusals.SWEEP_PEERS - 1):
        found = judge.assess_items([refusal(20 + at, 100 + at / 2)])
        assert found is not None
        assert found.level is Level.LOW
    found = judge.assess_items([refusal(90, 104)])
    assert found is not None
    assert (found.level, found.novel[0].item) == (Level.HIGH, "sweep 10.0.0.7")
    assert found.novel[0].count == refusals.SWEEP_PEERS
    assert "searched the ports of 10.0.0.7" in found.summary
    hosts = [refusal(22, 130 + at / 10, f"10.0.1.{at}") for at in range(refusals.SWEEP_PEERS)]
    found = judge.assess_items(hosts)
    assert found is not None
    assert found.novel[0].item == "sweep of many addresses"


def test_a_few_refusals_or_slow_ones_are_no_search(judge: Judge) -> None:
    for at in range(30):
        found = judge.assess_items([refusal(20 + at, 100 + 2 * at)])
        assert found is not None
        assert found.level is Level.LOW


def test_a_dependency_that_was_down_while_learning_stays_quiet(judge: Judge) -> None:
    dependency = item("peer", "tcp 10.0.0.9:5432")
    down = refusal(5432, 0, "10.0.0.9")
    judge.baseline.approve([dependency, down])
    assert judge.assess_items([down, dependency]) is None


def test_known_peers_that_go_away_together_are_no_search(judge: Judge) -> None:
    cluster = [item("peer", f"tcp 10.0.2.{at}:6379") for at in range(16)]
    cluster.append(item("peer", "tcp 169.254.169.254:80"))
    judge.baseline.approve(cluster)
    gone = [refusal(6379, 100 + at / 10, f"10.0.2.{at}") for at in range(16)]
    gone.append(refusal(80, 102, "169.254.169.254"))
    found = judge.assess_items(gone)
    assert found is not None
    assert found.level is Level.INFO


def test_an_outsider_is_told_as_one_and_is_no_step_of_the_workload(judge: Judge) -> None:
    role = stranger("/usr/bin/cat")
    cat = replace(item("model", MODEL, role=role, marks=("stranger",)), exe="/usr/bin/cat", pid=9)
    odd = item("file", "/mnt/odd", at_s=60.2)
    told = judge.observe(window(60, replace(cat, time_ns=round(60.1e9)), odd))
    assert told.level is Level.HIGH
    assert told.summary.startswith(
        f"/usr/bin/cat (pid 9), which does not belong to embedder, opened the model {MODEL}: "
    )


def test_listing_the_homes_of_others_is_a_search(judge: Judge) -> None:
    homes = [item("file", f"/home/u{c}/", marks=("listed",), at_s=60.1) for c in "abcdefghi"]
    assert judge.observe(window(60, *homes)).level is Level.HIGH


def test_files_of_many_places_within_seconds_are_a_search(judge: Judge) -> None:
    homes = [item("file", f"/home/{name}/notes.md", at_s=60) for name in "abcdefghij"]
    one, many = judge.assess_items(homes[:1]), judge.assess_items(homes)
    assert one is not None
    assert one.level is Level.MEDIUM
    assert many is not None
    assert many.level is Level.HIGH
