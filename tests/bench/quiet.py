"""What the daemon costs with ten servers that nobody calls, at the windows of the default."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from tests.bench.figures import AT_MOST, Figure, Goal, unmeasured
from tests.bench.rig import HERE
from tests.bench.usage import percent, usage
from tests.demo.commands import Commands, wait_for
from tests.demo.stage import Stage
from tests.servers.load import Load, steady
from tests.servers.serve import OnnxServer

WORKLOADS = 10
LEARN_S = 120.0
CALLS_PER_S = 4.0
SETTLE_S = 5.0
RULE = '[[workload]]\nname = "{0}"\nmatch = {{ cmdline = "--port {1} " }}\n'


def measure(seconds: float, learn_s: float, say: Callable[[str], None]) -> Iterator[Figure]:
    """Start them, have them learnt under a little load, and then let them be."""
    with Stage() as stage, ExitStack() as stack:
        servers = []
        for number in range(WORKLOADS):
            server = OnnxServer.start(stage.directory / f"server-{number}")
            stack.callback(server.stop)
            servers.append(server)
        rules = (RULE.format(f"quiet-{n}", server.port) for n, server in enumerate(servers))
        stage.agent = agent = Commands(
            stage.configuration(HERE / "quiet.toml.in", WORKLOADS="\n".join(rules))
        )
        daemon = stage.launch("agent", agent.line("run"))

        def states() -> list[str]:
            mine = (w for w in agent.status()["workloads"] if w["name"].startswith("quiet-"))
            return [str(w["state"]) for w in mine if w["pids"]]

        if not wait_for(lambda: len(states()) == WORKLOADS, 30.0):
            yield unmeasured("daemon, ten quiet workloads", "it did not find all ten servers")
            return
        learn(servers, lambda: states().count("guarding"), learn_s)
        guarding = states().count("guarding")
        say(f"{guarding} of {WORKLOADS} baselines guard")
        time.sleep(SETTLE_S)
        before = usage(daemon.pid)
        time.sleep(seconds)
        after = usage(daemon.pid)
        note = f"of one core, {seconds:.0f} s; {guarding} of {WORKLOADS} guarding"
        goal = Goal(AT_MOST, 1.0)
        yield Figure("daemon CPU, ten quiet workloads", percent(before, after), "%", goal, note)
        goal = Goal(AT_MOST, 150.0)
        yield Figure("daemon RSS, ten quiet workloads", after.rss_mib, "MiB", goal)


def learn(servers: list[OnnxServer], guarding: Callable[[], int], seconds: float) -> None:
    """Call all of them a little until every baseline guards, or the time is over."""
    shape = steady(CALLS_PER_S, seconds)
    loads = [Load(s.port, s.samples, shape, workers=1).start() for s in servers]
    wait_for(lambda: guarding() == len(servers), seconds, pause_s=2.0)
    for load in loads:
        load.interrupt()
    for load in loads:
        load.wait()
