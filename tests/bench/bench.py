"""Speed and memory, measured: `make bench`, or `python tests/bench/bench.py [PART ...]`.

Prints a table also when a goal is missed, with the miss marked; a part that
cannot be measured says why. The exit code tells whether measuring worked, not
whether the figures please.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))  # nothing must be installed

from tests.bench import (
    beside,
    calls,
    cuda,
    daemon,
    freezing,
    models,
    quiet,
    records,
    serving,
    storm,
    traffic,
)
from tests.bench.figures import Figure, report, unmeasured
from tests.bench.rig import Rig
from tests.demo.commands import CommandError
from tests.demo.stage import Stage
from tests.servers.serve import ServerError

PARTS = (
    "records", "calls", "cuda", "beside", "serving", "daemon", "freezing", "models", "quiet",
    "storm", "traffic",
)  # fmt: skip
NO_PRIVILEGE = 77


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all")
    parser.add_argument("--quick", action="store_true", help="fewer, shorter measurements")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--markdown", action="store_true", help="print the README's table")
    parser.add_argument("--keep", action="store_true", help="keep the directory with logs")
    found = parser.parse_args()
    if unknown := set(found.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return found


def say(text: str) -> None:
    """Tell how far it is, beside the table."""
    sys.stderr.write(f"  {text}\n")


def measurements(rig: Rig, *, quick: bool) -> dict[str, Callable[[], Iterator[Figure]]]:
    """Return every part, sized for a quick or a full run."""
    return {
        "records": lambda: records.measure(200_000 if quick else 2_000_000),
        "calls": lambda: calls.measure(rig, 2 if quick else 5, 500_000 if quick else 2_000_000),
        "models": lambda: models.measure(3 if quick else 5, (256 if quick else 2048) << 20),
        "cuda": lambda: cuda.measure(rig, 50_000 if quick else 500_000),
        "beside": lambda: beside.measure(rig, 3 if quick else 10, 2.0 if quick else 4.0),
        "serving": lambda: serving.measure(
            rig, 2 if quick else 10, 2.0 if quick else 5.0, 2 if quick else 10
        ),
        "daemon": lambda: daemon.measure(rig, 5.0 if quick else 20.0),
        "quiet": lambda: quiet.measure(10.0 if quick else 60.0, 60.0 if quick else 180.0, say),
        "storm": lambda: storm.measure(5.0 if quick else 30.0),
        "traffic": lambda: traffic.measure(rig, 2 if quick else 5, 10_000 if quick else 50_000),
        "freezing": lambda: freezing.measure(rig, 5 if quick else 20, say),
    }


def main() -> int:
    """Measure the parts asked for, print the table, clean up."""
    asked = options()
    if os.geteuid():
        sys.stderr.write("The benchmark loads BPF programs: run it as root.\n")
        return NO_PRIVILEGE
    figures: list[Figure] = []
    with Stage() as stage:
        stage.keep = asked.keep
        rig = Rig(stage)
        for name, measure in measurements(rig, quick=asked.quick).items():
            if asked.parts and name not in asked.parts:
                continue
            say(f"{name} …")
            try:
                figures.extend(measure())
            except (CommandError, ServerError, OSError) as error:
                figures.append(unmeasured(name, str(error)))
    print(report(figures, markdown=asked.markdown))
    if asked.json:
        asked.json.write_text(json.dumps([figure.as_json() for figure in figures], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
