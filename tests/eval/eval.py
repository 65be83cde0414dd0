"""Judges the judgement on real servers and prints one page: `make eval`.

python tests/eval/eval.py [--server onnx] [--server pytriton] [--seconds 3600] [--drill NAME]…
python tests/eval/eval.py --together [--seconds 3600] [--rate 10]   all under one agent at a time
python tests/eval/eval.py --from DIR      the page again, of recordings that are there
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

ROOT: Final = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from agent.control import request  # noqa: E402 - found by the path just added
from agent.drills.asking import ASKING  # noqa: E402
from agent.drills.catalogue import DRILLS, Drill  # noqa: E402
from agent.drills.outside import OUTSIDE  # noqa: E402
from agent.drills.recordings import NORMAL, Recordings  # noqa: E402
from agent.drills.rig import RATE  # noqa: E402
from agent.drills.runner import Outcome, Runner  # noqa: E402
from agent.errors import NotRunningError  # noqa: E402
from agent.evaluation.recordings import RecordingSetError  # noqa: E402
from agent.evaluation.techniques import evaluate_recordings  # noqa: E402
from agent.store import Store, level_rank  # noqa: E402
from probes.loader import remove  # noqa: E402
from tests.eval import offline  # noqa: E402
from tests.eval.rigs import KINDS, ServerRig, rig  # noqa: E402
from tests.servers.serve import ServerError  # noqa: E402

LEARN_S: Final = 300.0
"""A baseline may take no longer."""

PEAK_EVERY_S: Final = 30.0

CONFIG: Final = """
[paths]
state = "{at}/state"
run = "{at}/run"
pins = "{pins}"
[window]
length_s = 0.5
[learning]
min_windows = 120
quiet_s = 15
shadow_s = 60
[budget]
cpu_percent = 50.0
"""


@contextmanager
def daemon(at: Path) -> Iterator[Path]:
    """Run the agent beside whatever else runs; yields its configuration."""
    at.mkdir(parents=True, exist_ok=True)
    pins = Path("/sys/fs/bpf") / f"inferward-eval-{at.name}"
    config = at / "agent.toml"
    config.write_text(CONFIG.format(at=at, pins=pins))
    line = [sys.executable, "-m", "agent.main", "run", "--config", str(config)]
    with (at / "log").open("wb") as log:
        process = subprocess.Popen(line, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        while not _answers(at / "run"):
            if process.poll() is not None:
                raise ServerError(f"the agent ended; see {at / 'log'}")
            time.sleep(0.2)
        yield config
    finally:
        process.terminate()
        process.wait()
        remove(pins)


def _answers(run_dir: Path) -> bool:
    try:
        request(run_dir, "status")
    except NotRunningError:
        return False
    return True


def live(kind: str, at: Path, seconds: float, drills: Sequence[Drill]) -> dict[str, Any]:
    """Learn one server, let it live, drill it; recordings are left in ``at``/recordings."""
    root = at / "recordings"
    recordings = Recordings(at / "run", root)
    with daemon(at), rig(kind, at / "run", _note) as server:
        began = time.monotonic()
        with recordings.kept("learning", "learning", LEARN_S):
            server.learn(LEARN_S)
        learned_s = time.monotonic() - began
        quiet_ns = time.time_ns()
        with recordings.kept(NORMAL, "ordinary", seconds + LEARN_S):
            _ordinary(server, seconds)
        ordinary = _levels(at, server.name, quiet_ns)
        runner = Runner(at / "state" / "events.db", server.name, server.pid, server, recordings)
        outcomes = runner.run(drills, lambda one: _note(f"{one.name}: {one.level or 'quiet'}"))
    return {
        "learned_s": learned_s,
        "ordinary": {"seconds": seconds, "verdicts": ordinary},
        "drills": _drilled(outcomes),
    }


def together(kinds: Sequence[str], at: Path, seconds: float, rate: float) -> dict[str, Any]:
    """Have one agent learn several servers at the same time, and let them live. No drills.

    Raises:
        ServerError: One of them did not start.
    """
    with daemon(at), ExitStack() as stack, ThreadPoolExecutor(len(kinds)) as pool:
        servers = [stack.enter_context(rig(kind, at / "run", _note)) for kind in kinds]
        for server in servers:
            server.load.rate = rate
        found = list(pool.map(lambda one: _lived(one, at, seconds), servers))
    return dict(zip(kinds, found, strict=True))


def _lived(server: ServerRig, at: Path, seconds: float) -> dict[str, Any]:
    began = time.monotonic()
    server.learn(LEARN_S)
    learned_s, quiet_ns = time.monotonic() - began, time.time_ns()
    _note(f"{server.kind} learned in {learned_s:.0f} s")
    _ordinary(server, seconds)
    told = _levels(at, server.name, quiet_ns)
    return {"learned_s": learned_s, "ordinary": {"seconds": seconds, "verdicts": told}}


def _ordinary(server: ServerRig, seconds: float) -> None:
    """Live with a peak of ten times the load, and what the server's life holds, all along."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        server.live(min(PEAK_EVERY_S, left))
        if until > time.monotonic():
            OUTSIDE["load-peak"](server.pid, server.load)


def _levels(at: Path, workload: str, since_ns: int) -> dict[str, int]:
    path = at / "state" / "events.db"
    if not path.exists():
        return {}
    with Store.read(path) as store:
        told = store.verdicts(since_ns)  # also of other servers on this host
        levels = [one["level"] for one in told if one["workload"] == workload]
    return {level: levels.count(level) for level in sorted(set(levels), key=level_rank)}


def _drilled(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    attacks = [one for one in outcomes if one.behaviour != "look-alike"]
    alike = [one for one in outcomes if one.behaviour == "look-alike"]
    seconds = [one.seconds for one in attacks if one.seconds is not None]
    return {
        "attacks": len(attacks),
        "caught": sum(one.as_expected for one in attacks),
        "at_least_high": sum(
            bool(one.level) and level_rank(one.level) >= level_rank("high") for one in attacks
        ),
        "p95_s": float(np.percentile(seconds, 95)) if seconds else None,
        "lookalikes": len(alike),
        "quiet": sum(one.as_expected for one in alike),
        "odd": [
            f"{one.name}: {one.failed or one.level or 'nothing told'}"
            for one in outcomes
            if not one.as_expected
        ],
    }


def judged(root: Path) -> dict[str, Any]:
    """Return what the recordings of one server tell."""
    attacks = offline.attacks_below(root)
    ordinary = root / NORMAL / "ordinary.rec"
    found = evaluate_recordings(root)
    return {
        "recordings": {
            name: found[name] for name in ("auc", "dr_at_far", "without_prior", "recordings")
        },
        "realised": offline.realised(ordinary),
        "poisoned": offline.poisoned(root / "learning" / "learning.rec", attacks, ordinary),
        "diluted": offline.diluted(ordinary, attacks),
    }


def _judged(root: Path) -> dict[str, Any]:
    try:
        return judged(root)
    except RecordingSetError as error:  # too few of them; what was seen live stands
        return {"unjudged": str(error)}


def page(results: dict[str, Any]) -> str:
    """Write everything as one page, failures included."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    lines = [f"Judgement on real servers, {now}, Linux {platform.release()}"]
    for kind, one in results.items():
        lines += ["", kind]
        lines += [f"  {line}" for line in _lines(one)]
    return "\n".join(lines)


def _lines(one: dict[str, Any]) -> Iterator[str]:
    if "failed" in one:
        yield f"not run: {one['failed']}"
        return
    if "learned_s" in one:
        yield f"learned in {one['learned_s']:.0f} s"
        ordinary = one["ordinary"]
        told = ", ".join(f"{count} {level}" for level, count in ordinary["verdicts"].items())
        yield f"{ordinary['seconds']:.0f} s of ordinary load with peaks: {told or 'no verdict'}"
    if "drills" in one:
        drills = one["drills"]
        seconds = "-" if drills["p95_s"] is None else f"{drills['p95_s']:.2f} s"
        yield (
            f"drills: {drills['caught']} of {drills['attacks']} as expected,"
            f" {drills['at_least_high']} at least high, p95 {seconds}"
        )
        yield f"look-alikes: {drills['quiet']} of {drills['lookalikes']} quiet"
        yield from (f"  {odd}" for odd in drills["odd"])
    if "unjudged" in one:
        yield one["unjudged"]
    if "recordings" not in one:
        return
    found = one["recordings"]
    rates = ", ".join(f"{name} {rate:.2f}" for name, rate in found["dr_at_far"].items())
    yield (
        f"call sequences and readings: AUC {found['auc']:.3f} (without prior"
        f" {found['without_prior']['auc']:.3f}); detection at {rates} false alarms"
    )
    real = one["realised"]
    ratios = ", ".join(f"{share:.3f} at {rate}" for rate, share in real["rates"].items())
    yield f"realised: {ratios} ({real['windows']} windows, calibrated on {real['calibrated_on']})"
    bad = one["poisoned"]
    yield (
        f"2 % attacks in {bad['windows']} learned windows: {_count(bad['poisoned'])} of"
        f" {bad['attacks']} at least high, clean {_count(bad['clean'])}"
    )
    if bad["poisoned"] is None:
        yield f"  what was missing: {'; '.join(bad['missing'])}"
    thin = ", ".join(f"{name} {level}" for name, level in one["diluted"].items())
    yield f"diluted 1:9: {thin or 'none of them recorded'}"


def _count(number: int | None) -> str:
    return "(never ready)" if number is None else str(number)


def _note(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main() -> None:
    """Run what was asked for; the page to standard output, everything to results.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", action="append", choices=sorted(KINDS))
    parser.add_argument("--seconds", type=float, default=3600.0, help="of ordinary load")
    parser.add_argument("--together", action="store_true", help="at the same time, no drills")
    parser.add_argument("--rate", type=float, default=RATE, help="requests a second, together")
    parser.add_argument("--drill", action="append", choices=sorted(DRILLS), help="only these")
    parser.add_argument("--from", dest="again", type=Path, help="where an earlier run was kept")
    parser.add_argument("--keep", type=Path, default=ROOT / "build" / "eval")
    asked = parser.parse_args()
    kept = asked.again or asked.keep / datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    # What the drills' own server is asked, these servers do not answer.
    drills = [DRILLS[name] for name in asked.drill or DRILLS if name not in ASKING]
    results: dict[str, Any] = {}
    kinds = asked.server or sorted(KINDS)
    if asked.together:
        results = together(kinds, kept / "together", asked.seconds, asked.rate)
        kinds = ()
    for kind in kinds:
        try:
            found = {} if asked.again else live(kind, kept / kind, asked.seconds, drills)
            results[kind] = found | _judged(kept / kind / "recordings")
        except (ServerError, OSError) as error:
            results[kind] = {"failed": str(error)}
    (kept / "results.json").write_text(json.dumps(results, indent=1))
    sys.stdout.write(page(results) + "\n")
    raise SystemExit(any("failed" in one for one in results.values()))


if __name__ == "__main__":
    main()
