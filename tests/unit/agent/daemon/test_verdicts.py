"""An assessment as a document: plain JSON, null for the unknown, the right process in front."""

import json
import math
from collections.abc import Callable
from typing import Any

from agent.daemon.verdicts import RECORDS, Context, Origin, around, protagonist, trigger, verdict
from collectors.sightings import Sighting
from detectors.assessment import (
    Assessment,
    BaselineState,
    FeatureShare,
    Level,
    NovelItem,
    SurprisingGram,
)
from detectors.window import ItemKind, Phase, Window

See = Callable[..., Sighting]

ORIGIN = Origin("h1", "embedder", "generic", 1_000_000)
WINDOW = Window("embedder", 500, 1.0, Phase.STEADY, 2, {}, (), ())
CONTEXT = Context({"pid": 7}, {"action": "alert"})
PROMISED = {
    "id", "host", "time_ns", "workload", "engine", "level", "score", "p_value", "budget_spent",
    "window", "features", "novel", "process", "techniques", "summary", "response",
}  # fmt: skip


def novel(
    kind: ItemKind, item: str, level: Level = Level.HIGH, time_ns: int = 600, pid: int = 9
) -> NovelItem:
    return NovelItem(
        kind, item, sensitive=True, count=2, pid=pid, role="main", reason="never seen",
        techniques=("T1059",), time_ns=time_ns, exe="/srv/server", level=level,
    )  # fmt: skip


def assessed(*items: NovelItem, **more: object) -> Assessment:
    facts: dict[str, Any] = {
        "state": BaselineState.GUARDING, "level": Level.HIGH, "score": 1.5, "p_value": 0.25,
        "e_value": 2.0, "budget_spent": 0.5, "features": (), "novel": items, "grams": (),
        "techniques": ("T1059",), "summary": "a shell",
    }  # fmt: skip
    return Assessment(**(facts | more))


def told(assessment: Assessment, context: Context = CONTEXT) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        json.dumps(verdict(ORIGIN, WINDOW, assessment, context), allow_nan=False)
    )
    return document


def test_every_promised_key_is_there() -> None:
    assert set(told(assessed())) >= PROMISED


def test_level_window_and_origin_are_told_in_words_and_numbers() -> None:
    plain = told(assessed(), Context({}, {}, losses={"ring_full": 2}))
    assert (plain["level"], plain["state"], plain["phase"]) == ("high", "guarding", "steady")
    assert (plain["host"], plain["workload"], plain["engine"]) == ("h1", "embedder", "generic")
    assert plain["window"] == {
        "start_ns": 500, "length_s": 1.0, "lost": 2, "losses": {"ring_full": 2},
        "summarised": 0,
    }  # fmt: skip


def test_what_is_not_known_is_null_and_never_zero() -> None:
    plain = told(assessed(score=None, p_value=math.nan, e_value=math.inf, budget_spent=-math.inf))
    assert [plain[k] for k in ("score", "p_value", "e_value", "budget_spent")] == [None] * 4


def test_a_feature_without_a_learned_range_has_null_bounds() -> None:
    share = FeatureShare("bytes_out", "B/s", 3.0, math.nan, math.inf, 1.0)
    (plain,) = told(assessed(features=(share,)))["features"]
    assert plain == {
        "name": "bytes_out", "unit": "B/s", "value": 3.0, "learned_low": None,
        "learned_high": None, "share": 1.0,
    }  # fmt: skip


def test_a_sequence_is_told_with_its_calls_and_null_for_infinite_surprise() -> None:
    gram = SurprisingGram("main", ("read", "execve"), 3, math.inf, seen=False)
    (plain,) = told(assessed(grams=(gram,)))["sequences"]
    assert (plain["calls"], plain["surprisal_bits"], plain["seen"]) == (
        ["read", "execve"], None, False,
    )  # fmt: skip


def test_a_new_item_has_the_promised_keys() -> None:
    (plain,) = told(assessed(novel(ItemKind.EXEC, "/bin/sh")))["novel"]
    assert plain["kind"] == "exec"
    assert (plain["item"], plain["sensitive"], plain["count"], plain["pid"]) == (
        "/bin/sh", True, 2, 9,
    )  # fmt: skip


def test_the_time_is_that_of_the_first_new_thing_else_of_the_windows_end() -> None:
    early, late = novel(ItemKind.EXEC, "a", time_ns=550), novel(ItemKind.FILE, "b", time_ns=580)
    assert told(assessed(late, early))["time_ns"] == 1_000_550
    assert told(assessed())["time_ns"] == WINDOW.end_ns + 1_000_000
    harmless = novel(ItemKind.FILE, "c", Level.INFO, time_ns=510)
    assert told(assessed(harmless, late, early))["time_ns"] == 1_000_550
    assert told(assessed(harmless))["time_ns"] == WINDOW.end_ns + 1_000_000


def test_the_id_is_known_before_the_window_ends_and_the_same_after() -> None:
    assert told(assessed())["id"] == ORIGIN.id(WINDOW.start_ns)
    assert ORIGIN.id(500) != ORIGIN.id(501)


def test_records_carry_wall_clock_times(see: See) -> None:
    record = see("exec", "/bin/sh", time_ns=5, marks=frozenset({"memfd", "deleted"}))
    (plain,) = told(assessed(), Context({}, {}, (record,)))["records"]
    assert (plain["time_ns"], plain["marks"]) == (1_000_005, ["deleted", "memfd"])


def test_the_gravest_item_set_it_off_and_among_equals_the_first() -> None:
    low = novel(ItemKind.FILE, "low", Level.LOW, 1)
    second, first = (novel(ItemKind.FILE, str(at), Level.HIGH, at) for at in (30, 20))
    assert trigger([low, second, first]) is first


def test_nothing_new_has_no_trigger_and_no_protagonist() -> None:
    assert trigger([]) is None
    assert protagonist([]) is None


def test_a_grave_program_is_shown_before_a_graver_file() -> None:
    file = novel(ItemKind.FILE, "/etc/shadow", Level.CRITICAL, 1)
    program = novel(ItemKind.EXEC, "/bin/sh", Level.HIGH, 2)
    assert protagonist([file, program]) is program


def test_a_harmless_program_is_not_shown_in_place_of_what_set_it_off() -> None:
    file = novel(ItemKind.FILE, "/etc/shadow", Level.CRITICAL, 2)
    program = novel(ItemKind.EXEC, "/srv/worker", Level.LOW, 1)
    assert protagonist([file, program]) is file


def test_records_nearest_to_the_moment_are_told_oldest_first(see: See) -> None:
    many = [see("file", str(at), time_ns=at) for at in range(1000)]
    chosen = around(reversed(many), 500)
    times = [sighting.time_ns for sighting in chosen]
    assert len(times) == RECORDS
    assert times == sorted(times)
    assert min(times) >= 500 - RECORDS // 2
    assert max(times) <= 500 + RECORDS // 2


def test_fewer_records_than_asked_are_all_told(see: See) -> None:
    few = [see("file", "a", time_ns=3), see("file", "b", time_ns=1)]
    assert [sighting.time_ns for sighting in around(few, 10)] == [1, 3]
