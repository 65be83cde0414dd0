"""Steps 4 to 7: the attack, its verdict, central's copy, and the way back."""

import threading
import time
from dataclasses import dataclass
from typing import Any

import psutil

from tests.demo.commands import CommandError, wait_for
from tests.demo.judge import alarming, family, lost, missing, same, sequences
from tests.demo.learning import RATE, SETTLE_S, Cast, verdicts
from tests.demo.stage import Stage
from tests.demo.story import Story
from tests.servers.attack import BEAT_S, Attack, Listener, deliver
from tests.servers.load import Load, steady
from tests.servers.serve import ServerError, get, tree

VERDICT_S = 15.0
CENTRAL_S = 20.0
STILL_S = 1.0


@dataclass(slots=True)
class Caught:
    """What came of the attack, sent at `since_ns` (Unix time)."""

    attack: Attack
    since_ns: int
    verdict: dict[str, Any]


def strike(story: Story, stage: Stage, cast: Cast, attack: Attack, listener: Listener) -> Caught:
    """Step 4: the pickle is sent; waits for a critical verdict."""
    story.step(4, "The attack: a pickle that runs code where the model is loaded")
    story.say(f"reads {attack.secret}")
    story.say(f"starts {attack.shell}{' behind a second fork' if attack.orphan else ''}")
    story.say(f"connects to 127.0.0.1:{attack.port}")
    since_ns = time.time_ns()
    began_ns = time.monotonic_ns()
    threading.Thread(target=deliver, args=(cast.server.port, attack), daemon=True).start()

    def critical() -> dict[str, Any] | None:
        found = [v for v in verdicts(cast.agent, since_ns) if v["level"] == "critical"]
        return found[0] if found else None

    first = wait_for(critical, VERDICT_S, 0.2)
    seconds = (time.monotonic_ns() - began_ns) / 1e9
    story.require(
        "a critical verdict comes",
        held=first is not None,
        detail=f"{seconds:.1f} s after the pickle was sent"
        if first
        else f"none in {VERDICT_S:.0f} s; others: {alarming(verdicts(cast.agent, since_ns))}",
    )
    story.check(
        "the attack itself succeeded: its far end was connected to",
        held=listener.connections == 1,
        detail=f"{listener.heard_bytes} bytes heard",
    )
    story.figure("verdict_seen_after_s", seconds, "s")
    # The listener's and our clocks are one: when the shell was last heard of, from outside.
    heard_ns = listener.last_heard_ns
    last_heard_ms = (heard_ns - began_ns) / 1e6 if heard_ns else None
    story.figure("shell_last_heard_ms", last_heard_ms, "ms after the pickle was sent")
    return Caught(attack, since_ns, dict(first))


def judge(story: Story, stage: Stage, cast: Cast, caught: Caught) -> None:
    """Step 5: the verdict explains itself, and everything stands still."""
    story.step(5, "The verdict")
    name = str(caught.verdict["id"])
    story.say(cast.agent.text("explain", name))
    verdict = caught.verdict = cast.agent.json("explain", name)
    # The windows beside it may name what happened a few milliseconds earlier or later.
    others = [v for v in verdicts(cast.agent, caught.since_ns) if v["id"] != name]
    about = [verdict, *others]
    absent = missing(about, caught.attack)
    story.check("it names the exec, the file and the peer", held=not absent, detail=str(absent))
    calls = sequences(about)
    story.check("it names call sequences", held=bool(calls), detail=" | ".join(calls[:2]))
    server = cast.server.process.pid
    story.check("it shows the tree from the server", held=server in family(verdict))
    story.check(
        "it names techniques", held=bool(verdict["techniques"]), detail=str(verdict["techniques"])
    )
    response = verdict.get("response") or {}
    done = response.get("action") == "freeze" and response.get("state") == "done"
    story.check(
        "the workload was frozen, and it says how to undo it",
        held=done and bool(response.get("undo")),
        detail=str(response),
    )
    latency = response.get("latency_ms", response.get("frozen_ms"))
    story.check("exec to frozen was measured", held=latency is not None)
    story.figure("exec_to_frozen_ms", latency, "ms")
    stand_still(story, stage, cast)


def stand_still(story: Story, stage: Stage, cast: Cast) -> None:
    """Check from outside that the server's tree and the shell do nothing any more."""
    listener = stage.listener
    if listener is None:
        raise CommandError("the attack's listener is gone")
    members = {p.pid: p for p in (*tree(cast.server.process.pid), *stage.intruders())}
    living = [p for p in members.values() if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    before = (listener.heard_bytes, listener.connections, [p.cpu_times()[:2] for p in living])
    time.sleep(STILL_S)
    after = (listener.heard_bytes, listener.connections, [p.cpu_times()[:2] for p in living])
    states = {p.pid: f"{p.name()} {p.status()}" for p in living}
    story.check("server and children use no CPU", held=before[2] == after[2], detail=str(states))
    shells = [p for p in living if p.pid != cast.server.process.pid]
    story.check("the shell is among them", held=bool(shells))
    story.check(
        f"the shell, which spoke every {BEAT_S * 1e3:.0f} ms, is silent",
        held=before[0] == after[0],
        detail=f"{after[0]} bytes in all" if after[0] else "it never came to its first word",
    )
    story.check("no further connection left the tree", held=before[1] == after[1])
    story.check("the server does not answer", held=not answers(cast))
    active = cast.agent.json("containments")
    story.check("`agent containments` lists it", held=bool(active), detail=str(active)[:300])


def answers(cast: Cast) -> bool:
    """Tell whether the server answers within a second."""
    try:
        get(cast.server.port, "/health", 1.0)
    except ServerError:
        return False
    return True


def report(story: Story, cast: Cast, caught: Caught) -> None:
    """Step 6: central holds the same verdict, and the host knows that it was stored."""
    story.step(6, "Central holds the same verdict, received over ZeroMQ with CURVE")
    name = caught.verdict["id"]
    began = time.monotonic()

    def arrived() -> dict[str, Any] | None:
        found = cast.central.json("fleet", "verdicts")
        return next((dict(verdict) for verdict in found if verdict["id"] == name), None)

    there = wait_for(arrived, CENTRAL_S)
    story.require("it arrived", held=there is not None, detail=str(name))
    story.figure("central_after_s", time.monotonic() - began, "s")
    differs = same(caught.verdict, there)
    story.check("it is the same in every part", held=not differs, detail=str(differs))

    def acknowledged() -> bool:
        outbox = cast.agent.status().get("outbox") or {}
        return bool(outbox.get("queued") == 0 and outbox.get("acked", 0) > 0)

    story.check("everything sent was acknowledged", held=bool(wait_for(acknowledged, CENTRAL_S)))
    hosts = cast.central.json("fleet", "hosts")
    story.check("`agent fleet hosts` knows the host", held="demo" in str(hosts))


def recover(story: Story, stage: Stage, cast: Cast, caught: Caught) -> None:
    """Step 7: the intruder is ended, the workload released; all is as before."""
    story.step(7, "The operator ends the intruder and releases the server")
    frozen = cast.load.stop()
    story.say(f"load while it was frozen: {frozen.errors} requests unanswered")
    story.say(f"{stage.end_intruders()} processes of the attack ended")
    undo = str((caught.verdict.get("response") or {}).get("undo", ""))
    story.say(undo)
    released = cast.agent.ask(*undo.split()[1:]) if undo.startswith("agent release") else None
    story.require(
        "the undo that the verdict names works",
        held=released is not None and released.code == 0,
        detail=released.err.strip() if released else undo,
    )
    story.require("the server answers again", held=bool(wait_for(lambda: answers(cast), 10.0)))
    after = Load(cast.server.port, cast.server.samples, steady(RATE, SETTLE_S)).start().wait()
    story.check("honest load is answered rightly", held=after.sane, detail=str(after))
    story.check("nothing is contained any more", held=not cast.agent.json("containments"))
    answer = cast.agent.ask("status", "--json")
    status = answer.document()
    detail = f"exit {answer.code}, {status['health']} {status.get('reasons', '')}"
    healthy = answer.code == 0 and status["health"] == "healthy"
    story.check("`agent status` is healthy", held=healthy, detail=detail)
    story.check("nothing was lost", held=not lost(status), detail=str(lost(status)))
    story.figure("agent", status.get("overhead"))
    story.figure("sensors", status.get("sensors"))
    story.figure("status_ms", answer.seconds * 1e3, "ms")
