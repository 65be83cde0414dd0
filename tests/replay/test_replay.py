"""A recording gives the verdicts again that were given when it was made."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from agent.daemon.telling import Telling
from agent.daemon.verdicts import Context, Origin, verdict
from agent.recording.errors import BrokenRecordingError, NoRecordingError
from agent.recording.replay import Replay
from agent.recording.tap import Tap
from detectors import words
from detectors.baseline import Baseline, Floats
from detectors.judge import Judge
from detectors.prior import MIN_RECORDINGS, AttackPrior
from detectors.resources import ResourceModel, fit
from detectors.window import Item, Upload, Window
from probes import syscalls
from tests.unit.detectors.factory import ATTACK, SETTINGS, USUAL, guarding_judge, item, window

LONG_S = 3600.0
HOST_ONLY = ("process", "records", "response")  # a replay has no host to ask


@dataclass
class Live:
    """Judges as the daemon's watcher does, and keeps what it tells."""

    judge: Judge
    tap: Tap = field(default_factory=Tap)
    telling: Telling = field(default_factory=Telling)
    origin: Origin = Origin("h1", "embedder", "generic", 1_700_000_000_000_000_000)  # noqa: RUF009
    told: list[dict[str, Any]] = field(default_factory=list)

    def see(self, *items: Item) -> None:
        self.tap.items(self, items)
        self.judge.assess_items(items)

    def close(self, seen: Window) -> None:
        self.tap.window(self, seen)
        assessment = self.judge.observe(seen)
        self.tap.judged("embedder", self.judge.baseline.state, acted=False)
        if self.telling.worth(assessment, seen, acted=False):
            context = Context({}, {}, baseline=self.judge.baseline.summary())
            self.told.append(verdict(self.origin, seen, assessment, context))


def attacked(live: Live, path: Path) -> Live:
    """Record a quiet stretch, an attack in parts, an approval, the same again."""
    live.tap.start(path, LONG_S, [live])
    for at in range(100, 110):
        live.close(window(at))
    shell = item("exec", "/bin/sh", at_s=110.2)
    peer = item("peer", "tcp 127.0.0.1:4444", at_s=111.4)
    live.see(shell)
    live.close(window(110, shell, extra=ATTACK))
    live.see(peer)
    sent = (Upload("tcp 127.0.0.1:4444", 50_000_000, 50_000_000),)
    uploading = window(111, peer, connects=3.0, bytes_out_initiated=5e7)
    live.close(replace(uploading, uploads=sent))
    closed = [item("peer", f"refused tcp 10.0.0.7:{at}", at_s=111.5) for at in range(5)]
    live.see(*closed)
    live.tap.approved("embedder", [shell])
    live.judge.evidence.reset()
    live.judge.baseline.approve([shell])
    for at in range(112, 130):
        live.close(window(at, shell))
    stop(live)
    return live


def stop(live: Live) -> None:
    recorder = live.tap.stop()
    assert recorder is not None
    assert recorder.wait().lost == 0


def shared(verdicts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in one.items() if k not in HOST_ONLY} for one in verdicts]


def test_a_replay_gives_the_verdicts_that_live_gave(tmp_path: Path) -> None:
    live = attacked(Live(guarding_judge()), tmp_path / "r")
    assert len(live.told) >= 2
    assert shared(list(Replay(tmp_path / "r").verdicts())) == shared(live.told)


def test_a_second_replay_gives_the_same(tmp_path: Path) -> None:
    attacked(Live(guarding_judge()), tmp_path / "r")
    assert list(Replay(tmp_path / "r").verdicts()) == list(Replay(tmp_path / "r").verdicts())


def test_what_was_recent_when_the_recording_began_still_counts(tmp_path: Path) -> None:
    live = Live(guarding_judge())
    live.see(item("exec", "/srv/other", at_s=99.0))
    live.tap.start(tmp_path / "r", LONG_S, [live])
    late = item("peer", "tcp 10.9.9.9:4444", at_s=101.0)
    live.close(window(101, late))
    stop(live)
    assert live.told[0]["level"] == "critical"  # a program, then a peer within ten seconds
    assert shared(list(Replay(tmp_path / "r").verdicts())) == shared(live.told)


@pytest.mark.parametrize(("released_s", "level"), [(99.5, "medium"), (98.0, "critical")])
def test_a_release_settles_what_was_before_it_in_a_replay_too(
    tmp_path: Path, released_s: float, level: str
) -> None:
    live = Live(guarding_judge())
    live.see(item("exec", "/srv/other", at_s=99.0))
    live.tap.start(tmp_path / "r", LONG_S, [live])
    live.judge.settle(round(released_s * 1e9))
    live.tap.settled("embedder", round(released_s * 1e9))
    live.close(window(101, item("file", "/srv/elsewhere/served.py", at_s=101.0)))
    stop(live)
    assert live.told[0]["level"] == level
    assert shared(list(Replay(tmp_path / "r").verdicts())) == shared(live.told)


def test_what_happens_to_a_judge_before_it_is_in_the_file_comes_with_it(tmp_path: Path) -> None:
    live = Live(guarding_judge())
    live.tap.start(tmp_path / "r", LONG_S, [])  # a workload that is found while it is recorded
    live.judge.settle(99_500_000_000)
    live.tap.settled("embedder", 99_500_000_000)
    live.tap.compared("embedder", {"executable": "other"})
    live.judge.compare({"executable": "other"})
    live.close(window(100, item("file", "/srv/elsewhere/served.py", at_s=100.5)))
    live.close(window(101))
    stop(live)
    assert live.told
    assert shared(list(Replay(tmp_path / "r").verdicts())) == shared(live.told)


def test_a_replay_goes_through_learning_as_live_did(tmp_path: Path) -> None:
    asked: list[Floats] = []

    def late(rows: Floats) -> ResourceModel | None:
        """Answer as the daemon's worker does: three windows later, for the rows it was given."""
        asked.append(rows)
        return fit(asked[0]) if len(asked) > 3 else None

    live = Live(Judge(SETTINGS, Baseline("embedder"), late))
    live.tap.start(tmp_path / "r", LONG_S, [live])
    live.close(window(0, *USUAL))
    for at in range(1, 70):
        live.close(window(at))
    live.close(window(70, item("exec", "/bin/sh", at_s=70.1)))
    stop(live)
    again = list(Replay(tmp_path / "r").verdicts())
    assert again[-1]["state"] == "guarding"
    assert shared(again) == shared(live.told)


def test_another_baseline_judges_the_same_records(tmp_path: Path) -> None:
    attacked(Live(guarding_judge()), tmp_path / "r")
    knowing = guarding_judge(item("peer", "tcp 127.0.0.1:4444")).baseline
    knowing.approve([item("exec", "/bin/sh")])
    found = list(Replay(tmp_path / "r", knowing).verdicts())
    assert not [novel for one in found for novel in one["novel"] if novel["level"] == "critical"]


def test_a_replay_judges_by_the_prior_that_live_had(tmp_path: Path) -> None:
    prior = AttackPrior()
    attack = words.from_numbers([syscalls.number(name) for name in ATTACK.split()])
    prior.learn([attack] * MIN_RECORDINGS)
    baseline = Baseline.from_bytes(guarding_judge().baseline.to_bytes())
    live = attacked(Live(Judge(SETTINGS, baseline, prior=prior)), tmp_path / "whole")
    found = list(Replay(tmp_path / "whole").verdicts())
    assert shared(found) == shared(live.told)
    assert any(one["likeness_bits"] for one in found)


def test_a_cut_off_recording_is_replayed_up_to_there_and_says_so(tmp_path: Path) -> None:
    live = attacked(Live(guarding_judge()), tmp_path / "whole")
    data = (tmp_path / "whole").read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(data[:-20])
    found: list[dict[str, Any]] = []
    with pytest.raises(BrokenRecordingError, match=r"ends early, after \d+ records: it was cut"):
        found.extend(Replay(cut).verdicts())
    assert shared(found) == shared(live.told)[: len(found)]


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    attacked(Live(guarding_judge()), tmp_path / "r")
    data = bytearray((tmp_path / "r").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "r").write_bytes(data)
    with pytest.raises(BrokenRecordingError, match="checksum"):
        list(Replay(tmp_path / "r").verdicts())


def test_another_file_is_refused_by_its_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(b"PK\3\4 a zip")
    with pytest.raises(NoRecordingError, match="another format"):
        list(Replay(tmp_path / "r").verdicts())
