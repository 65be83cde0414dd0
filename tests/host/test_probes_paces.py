"""Beyond its pace a storm is counted by directory, exactly, and hides nothing that is grave."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collectors.crowds import Crowds
from collectors.sightings import Sighting
from probes.sensitive import mark
from tests.host.eyes import Eyes, Seen

pytestmark = pytest.mark.timeout(60)

HOUR_NS = 3_600_000_000_000
STORM = """
import os
def storm(folder, count):
    os.makedirs(folder, exist_ok=True)
    for n in range(count):
        os.close(os.open(f"{folder}/f{n}", os.O_CREAT | os.O_WRONLY))
"""


def spend(eyes: Eyes, number: int, *paces: str, by_ns: int = HOUR_NS) -> None:
    """Leave a workload nothing of these allowances, as a long storm does; by 0 ns: all of them."""
    known = eyes.sensor.schema.enum("pace")
    for pace in paces:
        slot = number * known["PACE_MAX"] + known[pace]
        spent_ns = (time.monotonic_ns() + by_ns).to_bytes(8, "little")
        eyes.sensor.maps["paces"].set(slot.to_bytes(4, "little"), spent_ns)


@contextmanager
def stormy(
    eyes: Eyes, script: str, *words: str, spent: tuple[str, ...] = ()
) -> Iterator[tuple[Seen, list[Sighting], Crowds]]:
    """Let a script run to its end; what was told of it one by one, and by crowds."""
    crowds = Crowds(eyes.sensor, eyes.records)
    crowds.read(0)
    with eyes.python(STORM + script, *words) as gated:
        spend(eyes, gated.number, *spent)
        gated.tell()
        gated.end()
        seen = eyes.seen(gated.number)
        mine = [s for s in crowds.read(0) if s.workload == gated.number]
        yield seen, mine, crowds


def test_what_exceeds_the_pace_is_counted_by_its_directory(eyes: Eyes, tmp_path: Path) -> None:
    made = 4 * eyes.sensor.schema.limit("PACE_BURST")
    script = f"gate()\nstorm(sys.argv[1] + '/there', {made})"
    with stormy(eyes, script, str(tmp_path)) as (seen, crowds, _):
        (crowd,) = (s for s in crowds if s.kind == "write")
        assert crowd.item == f"{tmp_path}/there/*"
        assert "create" in crowd.marks
        there = [s for s in seen.sightings if s.item.startswith(f"{tmp_path}/there/")]
        assert sum(s.count for s in there) + crowd.count == made
        assert seen.totals["COUNT_SUMMARISED"] == crowd.count > 0
        assert not +seen.losses


def test_a_few_files_elsewhere_are_told_in_spite_of_a_storm(eyes: Eyes, tmp_path: Path) -> None:
    told = eyes.sensor.schema.limit("PLACE_TOLD")
    script = f"gate()\nstorm(sys.argv[1], {told + 23})"
    with stormy(eyes, script, str(tmp_path), spent=("PACE_FILES",)) as (seen, crowds, _):
        assert seen.items("write") == [f"{tmp_path}/f{n}" for n in range(told)]
        assert [(s.item, s.count) for s in crowds] == [(f"{tmp_path}/*", 23)]


def test_what_was_counted_is_told_when_it_comes_again(eyes: Eyes, tmp_path: Path) -> None:
    script = (
        "gate()\nstorm(sys.argv[1], 1)\nprint('stormed', flush=True)\ngate()\nstorm(sys.argv[1], 1)"
    )
    with eyes.python(STORM + script, str(tmp_path)) as gated:
        spend(eyes, gated.number, "PACE_FILES", "PACE_PLACES")
        gated.tell()
        assert gated.hear() == "stormed"
        assert gated.hear() == "ready"
        assert not eyes.seen(gated.number).items("write")
        spend(eyes, gated.number, "PACE_FILES", by_ns=0)
        gated.tell()
        gated.end()
        assert eyes.seen(gated.number).items("write") == [f"{tmp_path}/f0"]


@pytest.mark.parametrize("name", ["server.key", "credentials"])
def test_a_secret_among_the_files_of_a_storm_is_told(eyes: Eyes, tmp_path: Path, name: str) -> None:
    """By its name, or by its number as the agent marked it; places are of no help here."""
    secret = tmp_path / name
    secret.touch()
    if name == "credentials":
        mark(eyes.sensor.maps["sensitive"], eyes.sensor.schema, [str(secret)])
    script = "gate()\nstorm(sys.argv[1], 101)\nopen(sys.argv[2]).close()"
    spent = ("PACE_FILES", "PACE_PLACES")
    with stormy(eyes, script, str(tmp_path), str(secret), spent=spent) as (seen, crowds, _):
        assert str(secret) in seen.items("file")
        assert (f"{tmp_path}/*", 101) in [(s.item, s.count) for s in crowds]


def test_secrets_beyond_their_own_pace_are_told_by_the_name_of_the_first(
    eyes: Eyes, tmp_path: Path
) -> None:
    script = "gate()\nfor n in range(7): open(f'{sys.argv[1]}/{n}.pem', 'w').close()"
    spent = ("PACE_GRAVE", "PACE_PLACES")
    with stormy(eyes, script, str(tmp_path), spent=spent) as (_, crowds, _):
        assert (f"{tmp_path}/0.pem", 7) in [(s.item, s.count) for s in crowds]


def test_a_change_of_code_is_told_in_spite_of_a_storm_of_changes(
    eyes: Eyes, tmp_path: Path
) -> None:
    script = (
        "storm(sys.argv[1], 41)\nopen(sys.argv[1] + '/model.py', 'w').close()\n"
        "gate()\nfor n in range(37): os.unlink(f'{sys.argv[1]}/f{n}')\n"
        "os.rename(sys.argv[1] + '/model.py', sys.argv[1] + '/other.py')\n"
        "os.chmod(sys.argv[1] + '/f37', 0o755)\n"
        "os.rename(sys.argv[1] + '/f38', sys.argv[1] + '/g')"
    )
    spent = ("PACE_CHANGES", "PACE_PLACES")
    with stormy(eyes, script, str(tmp_path), spent=spent) as (seen, crowds, _):
        marks = {s.item: s.marks for s in seen.sightings if s.kind == "write"}
        assert "renamed-to" in marks[f"{tmp_path}/other.py"]
        assert "executable" in marks[f"{tmp_path}/f37"]
        told = {(mark, s.item, s.count) for s in crowds for mark in s.marks - {"given"}}
        assert told == {
            ("removed", f"{tmp_path}/*", 37),
            ("renamed-from", f"{tmp_path}/*", 1),
            ("renamed-to", f"{tmp_path}/*", 1),
        }


def test_ends_of_children_are_counted_and_one_by_a_signal_is_told(eyes: Eyes) -> None:
    script = (
        "gate()\nfor n in range(23):\n"
        " pid = os.fork()\n if not pid: os._exit(0)\n os.waitpid(pid, 0)\n"
        "pid = os.fork()\nif not pid: os.abort()\nos.waitpid(pid, 0)"
    )
    with stormy(eyes, script, spent=("PACE_ENDS",)) as (seen, crowds, reader):
        assert not crowds
        (end,) = (s for s in seen.sightings if s.kind == "exit")
        assert "crash" in end.item or "crash" in end.marks
        ends = eyes.sensor.schema.enum("event_kind")["EVENT_EXIT"]
        assert reader.by_kind[ends] == seen.totals["COUNT_SUMMARISED"] == 24


def test_a_crowd_that_is_over_leaves_the_map(eyes: Eyes, tmp_path: Path) -> None:
    script = "gate()\nstorm(sys.argv[1], 31)"
    spent = ("PACE_FILES", "PACE_PLACES")
    with stormy(eyes, script, str(tmp_path), spent=spent) as (_, crowds, reader):
        assert [s.count for s in crowds] == [31]
        assert not reader.read(0)
        due = [reader.due]
        for _ in range(2):
            assert not reader.read(1 << 63)
        assert [*due, reader.due] == [True, False]
        assert len(eyes.sensor.maps["crowds"].items()[0]) == 0
