"""Steps 1 to 3: a server under honest load is recognised, learned, and reloads without an alarm."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.demo.commands import CommandError, Commands, wait_for
from tests.demo.judge import alarming
from tests.demo.keys import introduce, make_central_key
from tests.demo.stage import Stage
from tests.demo.story import Story
from tests.servers.load import Load, Stretch
from tests.servers.serve import OnnxServer, free_port, get, tree

NOTHING_RECORDED = 3  # the exit code of `agent verdicts` before the first verdict
HERE = Path(__file__).parent
WORKLOAD = "digits"
RATE = 30.0  # requests per second: well below what two shared cores serve
START_S = 20.0
LEARN_S = 110.0
SETTLE_S = 6.0  # several windows, and what is concluded from them

MEASURES = (
    ("windows", "windows", "min_windows"),
    ("quiet s", "quiet_s", "quiet_needed_s"),
    ("shadow s", "shadow_s", "shadow_needed_s"),
)

# An ordinary day in short: busy and quiet minutes alternate, without end.
DAY = tuple(Stretch(rate, 4.0) for rate in (RATE, 2 * RATE, RATE, RATE / 3)) * 100


@dataclass(slots=True)
class Cast:
    """Who plays: the server and its load, the agent, central."""

    server: OnnxServer
    load: Load
    agent: Commands
    central: Commands


def serve(story: Story, stage: Stage) -> tuple[OnnxServer, Load]:
    """Step 1: the model server, and honest load on it."""
    story.step(1, "A model server starts: ONNX Runtime behind FastAPI, on loopback")
    server = stage.server = OnnxServer.start(stage.directory / "server", unsafe=True)
    pids = [member.pid for member in tree(server.process.pid)]
    story.say(f"127.0.0.1:{server.port}, processes {pids}, log {server.log}")
    load = Load(server.port, server.samples, DAY).start()
    time.sleep(2.0)
    report = load.report()
    story.require("the server answers honest load", held=report.sane, detail=str(report))
    return server, load


def watch(story: Story, stage: Stage, server: OnnxServer, load: Load) -> Cast:
    """Step 2: keys, central, the agent; then learning until the baseline guards."""
    story.step(2, "agent central and agent run start; the agent recognises the server and learns")
    address = f"tcp://127.0.0.1:{free_port()}"
    central = Commands(stage.configuration(HERE / "central.toml.in", CENTRAL=address))
    key = make_central_key(central)
    config = stage.configuration(
        HERE / "demo.toml.in", PORT=server.port, CENTRAL=address, CENTRAL_KEY=key
    )
    agent = Commands(config)
    introduce(agent, central, "demo")
    stage.launch("central", central.line("central"))
    daemon = stage.launch("agent", agent.line("run"))
    stage.agent = agent
    cast = Cast(server, load, agent, central)
    began = time.monotonic()

    def recognised() -> Mapping[str, Any] | None:
        if daemon.poll() is not None:
            return {"state": f"ended with exit code {daemon.returncode}; see {stage.log('agent')}"}
        found = workload(agent.status())
        return found if found and server.process.pid in found["pids"] else None

    found = wait_for(recognised, START_S)
    story.require(
        "the server is recognised by rule, and its running process adopted",
        held=bool(found) and "pids" in found,
        detail=str(found and {name: found.get(name) for name in ("engine", "state", "pids")}),
    )
    story.figure("start_to_recognised_s", time.monotonic() - began, "s")
    story.say(f"configuration {agent.config}")
    learn(story, cast)
    return cast


def workload(status: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the demonstration's workload in a status, if it is there."""
    for found in status.get("workloads", ()):
        if found["name"] == WORKLOAD:
            return dict(found)
    return None


def learn(story: Story, cast: Cast) -> None:
    """Wait until the baseline guards, showing how far it is; one ordinary reload happens."""
    began = time.monotonic()
    reloaded = False
    state = ""
    while time.monotonic() - began < LEARN_S and state != "guarding":
        time.sleep(1.0)
        found = workload(cast.agent.status()) or {}
        state = str(found.get("state", "not recognised"))
        shown = progress_words(found.get("progress") or {})
        story.progress(f"{time.monotonic() - began:4.0f} s  {state}: {shown}")
        if state == "learning" and not reloaded and time.monotonic() - began > 5.0:
            cast.server.reload(1)  # part of its ordinary life, so learned like everything else
            reloaded = True
    story.require(
        "the baseline is ready and guards", held=state == "guarding", detail=f"it is {state}"
    )
    story.figure("learning_s", time.monotonic() - began, "s")


def progress_words(progress: Mapping[str, Any]) -> str:
    """Write how far learning is: each measure against what it needs, then what is missing."""
    steps = [
        f"{words} {progress[have]:g} of {progress[need]:g}"
        for words, have, need in MEASURES
        if have in progress and need in progress
    ]
    missing = "; ".join(str(word) for word in progress.get("missing", ()))
    return ", ".join(steps) + (f" (missing: {missing})" if missing else "")


def verdicts(agent: Commands, since_ns: int = 0) -> list[dict[str, Any]]:
    """Return the workload's verdicts from a Unix time on, oldest first."""
    answer = agent.ask("verdicts", "--workload", WORKLOAD, "--json")
    if answer.code == NOTHING_RECORDED:
        return []
    found = answer.document()
    if not isinstance(found, list):
        raise CommandError("`agent verdicts --json` is no list")
    return [verdict for verdict in found if verdict["time_ns"] >= since_ns]


def reload(story: Story, cast: Cast) -> None:
    """Step 3: a new version of the model is published and loaded; nothing alarming comes of it."""
    story.step(3, "A legitimate release: a retrained model is published and reloaded")
    path = cast.server.publish(2)
    version = cast.server.reload(2)
    story.say(f"{path.name} ({path.stat().st_size} bytes) is served")
    time.sleep(SETTLE_S)
    health = get(cast.server.port, "/health")
    story.check("the new version answers", held=version == 2 == health["version"])
    found = alarming(verdicts(cast.agent))
    story.check(
        "nothing above `low` so far: start, peaks, quiet, reload",
        held=not found,
        detail="; ".join(found),
    )
    report = cast.load.report()
    story.require("every request was answered rightly", held=report.sane, detail=str(report))
    story.figure("requests_before_attack", report.requests)
    story.figure("p99_ms_before_attack", report.p99_ms, "ms")
