"""What a guarded workload was not learnt to do is answered by the kernel alone; all else goes on.

Tier `trace`: a program or a secret file stops who asked, after at most one success; a connect is
refused. Tier `guard`: tests/vm/guest/reflex.py. Nobody reads a record until the loop was answered.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.response.breaker import Breaker
from agent.response.containment import Step, Target
from agent.response.containments import Containments
from agent.response.pinned import PinnedSwitch
from agent.response.processes import thread_states
from probes.reflex import Grant, Order, ReflexMaps, Stop, of_file, of_name, of_peer, of_port
from probes.sensitive import kernel_device, mark
from tests.host.actors import SETTLED_S, Actor, acting, begin, child_of, stopped, wait_for
from tests.host.eyes import Eyes
from tests.vm.guest.guard import ACTS, Act, Stage
from tests.vm.programs import compile_all

TCP, UDP = 6, 17
LONG_S = 60.0


@pytest.fixture(scope="module")
def trace(eyes: Eyes) -> Eyes:
    if eyes.sensor.tier != "trace":
        pytest.skip("this kernel denies before the act: tests/vm/guest/reflex.py")
    compile_all()
    return eyes


@pytest.fixture(scope="module")
def maps(trace: Eyes) -> ReflexMaps:
    return ReflexMaps(trace.sensor.maps, trace.sensor.schema)


@pytest.fixture
def here(tmp_path: Path, trace: Eyes) -> Iterator[Containments]:
    switch = PinnedSwitch.open(trace.sensor.pins, trace.sensor.schema)
    containments = Containments(tmp_path / "state", switch, breaker=Breaker(1000))
    yield containments
    containments.release_all()


@pytest.fixture
def stage(trace: Eyes, tmp_path: Path) -> Iterator[Stage]:
    folder = tmp_path / "stage"
    folder.mkdir()
    with ExitStack() as stack:
        stage = Stage(folder, stack)
        sensor = trace.sensor
        mark(sensor.maps["sensitive"], sensor.schema, [stage.listed, str(folder / "credentials")])
        yield stage


def order(
    maps: ReflexMaps,
    number: int,
    *acts: str,
    for_s: float = LONG_S,
    **more: Any,  # noqa: ANN401 - fields of Order
) -> None:
    until_ns = time.monotonic_ns() + int(for_s * 1e9)
    maps.order(number, replace(Order(frozenset(acts), until_ns, 8, LONG_S), **more))


def numbered(act: str, path: str | Path) -> Grant:
    found = Path(path).stat()
    return of_file(act, kernel_device(found.st_dev), found.st_ino)


def goes_on(actor: Actor) -> None:
    before = actor.done()
    wait_for(lambda: actor.done() > before + 3)


def stops_of(maps: ReflexMaps, number: int) -> list[Stop]:
    return [stop for stop in maps.stops() if stop.workload == number]


def outcomes(eyes: Eyes, number: int) -> list[tuple[str, str, str]]:
    words = {"denied", "stopped", "rehearsed", "spared"}
    return [
        (s.kind, s.item, min(s.marks & words))
        for s in eyes.seen(number).sightings
        if s.kind.startswith("reflex-")
    ]


def test_a_program_that_was_not_learnt_runs_no_instruction(
    trace: Eyes, maps: ReflexMaps, tmp_path: Path
) -> None:
    with acting(trace, Act("exec"), tmp_path / "tally") as actor:
        order(maps, actor.target.workload_id, "exec")
        begin_unanswered(actor)
        wait_for(lambda: stopped(child_of(actor.process.pid)))
        time.sleep(SETTLED_S)
        assert actor.done() == 0
        assert thread_states(actor.process.pid) == {"S"}, actor.process.poll()
        told = outcomes(trace, actor.target.workload_id)
        (stop,) = stops_of(maps, actor.target.workload_id)
        assert told == [("reflex-exec", str(ACTS), "stopped")]
        assert stop.pid == child_of(actor.process.pid)


def begin_unanswered(actor: Actor) -> None:
    """Begin an act of which not even the first may come back."""
    actor.go()


def test_a_learnt_program_runs_as_before_by_its_inode_or_by_its_name(
    trace: Eyes, maps: ReflexMaps, tmp_path: Path
) -> None:
    for grant in (numbered("REFLEX_EXEC", ACTS), of_name(ACTS.name)):
        with acting(trace, Act("exec"), tmp_path / "tally") as actor:
            maps.allow(actor.target.workload_id, [grant])
            order(maps, actor.target.workload_id, "exec", "connect", "secret")
            begin(actor)
            goes_on(actor)
            assert outcomes(trace, actor.target.workload_id) == []
            assert maps.count(actor.target.workload_id).done == 0


def test_a_secret_file_that_was_not_learnt_is_opened_once_at_most(
    trace: Eyes, maps: ReflexMaps, stage: Stage, tmp_path: Path
) -> None:
    for secret in (stage.listed, stage.below):
        with acting(trace, Act("open-read", (secret,)), tmp_path / "tally") as actor:
            order(maps, actor.target.workload_id, "secret")
            begin_unanswered(actor)
            wait_for(lambda: stopped(actor.process.pid))
            time.sleep(SETTLED_S)
            assert actor.tried() <= 1
            told = outcomes(trace, actor.target.workload_id)
            assert told == [("reflex-secret", secret, "stopped")]


def test_a_learnt_secret_and_a_plain_file_are_opened_as_before(
    trace: Eyes, maps: ReflexMaps, stage: Stage, tmp_path: Path
) -> None:
    for path in (stage.listed, stage.plain):
        with acting(trace, Act("open-read", (path,)), tmp_path / "tally") as actor:
            maps.allow(actor.target.workload_id, [numbered("REFLEX_SECRET", stage.listed)])
            order(maps, actor.target.workload_id, "secret")
            begin(actor)
            goes_on(actor)
            assert outcomes(trace, actor.target.workload_id) == []


def test_what_a_runtime_keeps_for_containers_is_no_secret_to_a_reflex(
    trace: Eyes, maps: ReflexMaps, stage: Stage, tmp_path: Path
) -> None:
    store = stage.folder / "store"
    store.mkdir()
    (store / "cache").write_bytes(b"x")
    mark(trace.sensor.maps["sensitive"], trace.sensor.schema, [str(store)], "SECRET_STORE")
    with acting(trace, Act("open-read", (str(store / "cache"),)), tmp_path / "tally") as actor:
        order(maps, actor.target.workload_id, "secret")
        begin(actor)
        goes_on(actor)


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_peer_that_was_not_learnt_is_never_reached_and_nobody_is_stopped(
    trace: Eyes, maps: ReflexMaps, stage: Stage, tmp_path: Path, kind: str
) -> None:
    name, port = ("connect-inet", stage.tcp) if kind == "tcp" else ("send-inet", stage.udp)
    with acting(trace, Act(name, (port,)), tmp_path / "tally") as actor:
        number = actor.target.workload_id
        maps.allow(number, [of_peer(TCP, "127.0.0.1", 1), of_port(TCP, int(port))])
        order(maps, number, "connect")
        begin_unanswered(actor)
        wait_for(lambda: actor.tried() > 3)
        assert actor.done() == 0
        assert not stopped(actor.process.pid)
        told = outcomes(trace, number)
        assert told == [("reflex-connect", f"{kind} 127.0.0.1:{port}", "denied")]
        assert maps.count(number).done > 1
        assert trace.seen(number).totals["COUNT_DENIED"] > 1


def test_a_learnt_peer_is_reached_by_its_port_or_any_ephemeral_one(
    trace: Eyes, maps: ReflexMaps, stage: Stage, tmp_path: Path
) -> None:
    port = int(stage.tcp)
    assert port >= 32768  # given by the kernel, as it gives them
    for grant in (of_peer(TCP, "127.0.0.1", port), of_peer(TCP, "127.0.0.1", 0)):
        with acting(trace, Act("connect-inet", (stage.tcp,)), tmp_path / "tally") as actor:
            maps.allow(actor.target.workload_id, [grant])
            order(maps, actor.target.workload_id, "connect")
            begin(actor)
            goes_on(actor)
            assert outcomes(trace, actor.target.workload_id) == []


def test_public_addresses_are_one_by_their_port(trace: Eyes, maps: ReflexMaps) -> None:
    script = """
import socket
gate()
for address, port in (("203.0.114.5", 443), ("203.0.114.6", 4444)):
    with socket.socket() as line:
        line.setblocking(False)
        print(line.connect_ex((address, port)), flush=True)
"""
    with trace.python(script) as gated:
        maps.allow(gated.number, [of_port(TCP, 443)])
        order(maps, gated.number, "connect")
        gated.tell()
        allowed, denied = gated.end().split()
        assert (allowed != "1", denied) == (True, "1")


def test_a_dry_reflex_tells_and_lets_pass(
    trace: Eyes, maps: ReflexMaps, stage: Stage, tmp_path: Path
) -> None:
    for act, kind in ((Act("open-read", (stage.listed,)), "secret"), (Act("exec"), "exec"),
                      (Act("connect-inet", (stage.tcp,)), "connect")):  # fmt: skip
        with acting(trace, act, tmp_path / "tally") as actor:
            order(maps, actor.target.workload_id, kind, dry=True)
            begin(actor)
            goes_on(actor)
            told = outcomes(trace, actor.target.workload_id)
            assert {(kind, how) for kind, _, how in told} == {(f"reflex-{kind}", "rehearsed")}
            assert maps.count(actor.target.workload_id).done == 0


def test_an_order_ends_by_itself(
    trace: Eyes, maps: ReflexMaps, stage: Stage, tmp_path: Path
) -> None:
    with acting(trace, Act("connect-inet", (stage.tcp,)), tmp_path / "tally") as actor:
        order(maps, actor.target.workload_id, "connect", for_s=1.0)
        begin_unanswered(actor)
        wait_for(lambda: actor.tried() > 3)
        assert actor.done() == 0
        actor.go()
        wait_for(lambda: actor.done() > 0)


def test_beyond_its_limit_of_different_acts_it_spares_all_and_tells(
    trace: Eyes, maps: ReflexMaps
) -> None:
    script = """
import socket
gate()
for port in (1, 1, 1, 2, 3, 1):
    with socket.socket() as line:
        print(line.connect_ex(("127.0.0.1", port)), flush=True)
"""
    with trace.python(script) as gated:
        order(maps, gated.number, "connect", limit=2)
        gated.tell()
        said = gated.end().split()
        assert said == ["1", "1", "1", "1", "111", "111"]  # EPERM; then the refusal of nobody there
        spared = [item for _, item, how in outcomes(trace, gated.number) if how == "spared"]
        assert spared == ["tcp 127.0.0.1:3", "tcp 127.0.0.1:1"]
        assert maps.count(gated.number).spared == 2


def test_a_period_later_it_answers_again(trace: Eyes, maps: ReflexMaps) -> None:
    script = """
import socket, time
gate()
for port in (1, 2, 3):
    with socket.socket() as line:
        print(line.connect_ex(("127.0.0.1", port)), flush=True)
    if port == 2:
        time.sleep(1.2)
"""
    with trace.python(script) as gated:
        order(maps, gated.number, "connect", limit=1, period_s=1.0)
        gated.tell()
        assert gated.end().split() == ["1", "111", "1"]


def test_who_was_stopped_is_listed_and_a_release_lets_it_do_the_same_again(
    trace: Eyes, maps: ReflexMaps, stage: Stage, here: Containments, tmp_path: Path
) -> None:
    with acting(trace, Act("open-read", (stage.below,)), tmp_path / "tally") as actor:
        number = actor.target.workload_id
        order(maps, number, "secret")
        begin_unanswered(actor)
        wait_for(lambda: stopped(actor.process.pid))
        (listed,) = here.note_stops({number: "w"}, 60.0, "a test")
        assert (listed.step, listed.target.workload) == (Step.REFLEX, "w")
        assert [process.pid for process in listed.processes] == [actor.process.pid]
        assert [one.id for one in here.note_stops({number: "w"}, 60.0, "a test")] == [listed.id]
        here.release(listed.id)
        actor.go()
        goes_on(actor)
        assert stops_of(maps, number) == []
        maps.allow(number, [])  # what the agent learnt changes nothing that was released
        goes_on(actor)


def test_a_release_of_all_finds_who_was_stopped_while_no_agent_ran(
    trace: Eyes, maps: ReflexMaps, stage: Stage, here: Containments, tmp_path: Path
) -> None:
    with acting(trace, Act("open-read", (stage.below,)), tmp_path / "tally") as actor:
        order(maps, actor.target.workload_id, "secret")
        begin_unanswered(actor)
        wait_for(lambda: stopped(actor.process.pid))
        released = here.release_all()
        assert [one.target.workload_id for one in released] == [actor.target.workload_id]
        actor.go()
        goes_on(actor)


def test_who_was_stopped_is_continued_when_a_freeze_is_released(
    trace: Eyes, maps: ReflexMaps, stage: Stage, here: Containments, tmp_path: Path
) -> None:
    with acting(trace, Act("open-read", (stage.below,)), tmp_path / "tally") as actor:
        order(maps, actor.target.workload_id, "secret")
        begin_unanswered(actor)
        wait_for(lambda: stopped(actor.process.pid))
        done = here.contain(actor.target, Step.FREEZE, 60, "a test", "tester")
        assert done.stopped_before == ()
        here.release(done.id)
        actor.go()
        goes_on(actor)


def test_who_is_stopped_is_given_back_at_its_end(
    trace: Eyes, maps: ReflexMaps, stage: Stage, here: Containments, tmp_path: Path
) -> None:
    with acting(trace, Act("open-read", (stage.below,)), tmp_path / "tally") as actor:
        order(maps, actor.target.workload_id, "secret")
        begin_unanswered(actor)
        wait_for(lambda: stopped(actor.process.pid))
        here.note_stops({}, 0.2, "a test")
        time.sleep(0.3)
        assert len(here.expire(time.monotonic_ns())) == 1
        actor.go()
        goes_on(actor)


def test_nobody_but_the_workload_with_the_order_is_answered(
    trace: Eyes, maps: ReflexMaps, stage: Stage, tmp_path: Path
) -> None:
    ordered = trace.workload()
    order(maps, ordered, "exec", "connect", "secret")
    with acting(trace, Act("open-read", (stage.listed,)), tmp_path / "tally") as actor:
        begin(actor)
        goes_on(actor)
    assert maps.ordered() >= {ordered}
    maps.cancel(ordered)
    assert ordered not in maps.ordered()


def test_the_process_that_ends_is_listed_no_more(
    trace: Eyes, maps: ReflexMaps, stage: Stage, tmp_path: Path
) -> None:
    with acting(trace, Act("open-read", (stage.listed,)), tmp_path / "tally") as actor:
        order(maps, actor.target.workload_id, "secret")
        begin_unanswered(actor)
        wait_for(lambda: stops_of(maps, actor.target.workload_id))
        actor.process.kill()
        actor.process.wait()
        wait_for(lambda: not stops_of(maps, actor.target.workload_id))


def test_a_target_without_stops_has_nothing_to_list(here: Containments) -> None:
    assert here.note_stops({1: "w"}, 60.0, "a test") == ()
    assert Target("w", 1) not in [one.target for one in here.live()]
