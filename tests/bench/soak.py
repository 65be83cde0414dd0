"""An hour at a hundred times the usual rate of events: `python tests/bench/soak.py --seconds N`.

Prints a table like the benchmark's. What should be flat is told as a slope with its 95 %
interval: flat is what an hour's readings do not show to rise.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))  # nothing must be installed

import numpy as np

from probes.maps import BpfMap
from tests.bench.figures import AT_MOST, Figure, Goal, report
from tests.bench.usage import Slope, percent, slope, usage
from tests.bench.weather import FILES, FORKS, Post, Storm, post, unaccounted
from tests.demo.commands import CommandError

FILES_PER_S = 1_000.0  # origin: a serving process shows some ten new things a second at its worst
FORKS_PER_S = 50.0
EVERY_S = 10.0
WARM_UP = 0.25
"""Of the readings left out: the maps that forget the oldest fill first."""

MAPS = ("seen", "grams", "members")
NO_PRIVILEGE = 77
PER_HOUR = 3600


def entries(there: Post) -> dict[str, int]:
    """Return how many entries each map holds."""
    found = {}
    for name in MAPS:
        opened = BpfMap.pinned(there.stage.pins, name)
        keys, values = opened.items()
        found[name] = len(keys)
        if name == "grams":  # of each bucket, the words come first
            buckets = values.view("<u8")
            found[name] = int(np.count_nonzero(buckets[:, : buckets.shape[1] // 2]))
        opened.close()
    return found


def measure(seconds: float, say: Callable[[str], None]) -> Iterator[Figure]:
    """Let it rain, look every ten seconds, and yield slopes and losses."""
    with post() as there:
        rates = {FILES: FILES_PER_S, FORKS: FORKS_PER_S}
        storms = [Storm(there.stage.directory, deed, seconds, r) for deed, r in rates.items()]
        fills: list[dict[str, int]] = []
        try:
            for storm in storms:
                there.watch(storm)
            before = there.settled()
            for storm in storms:
                storm.begin()
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                time.sleep(min(EVERY_S, max(0.0, ends - time.monotonic())))
                there.readings.append(usage(there.pid))
                fills.append(entries(there))
                say(f"{max(0.0, ends - time.monotonic()):.0f} s left, {fills[-1]}")
            made = {storm.deed: storm.made() for storm in storms}
            after = there.settled()
        finally:
            for storm in storms:
                storm.end()
        note = f"{made[FILES]:,} files, {made[FORKS]:,} forks in {seconds:.0f} s"
        missing = unaccounted(made, before, after)
        yield Figure("soak, deeds not accounted for", missing, "", Goal(AT_MOST, 0), note)
        cost = percent(there.readings[0], there.readings[-1])
        yield Figure("soak, daemon CPU", cost, "%", None, "of one core")
        yield from slopes(there, fills)
        note = "; ".join(after.reasons)
        ill = float(after.health != "healthy")
        yield Figure("soak, not healthy at the end", ill, "", Goal(AT_MOST, 0), note)


def slopes(there: Post, fills: list[dict[str, int]]) -> Iterator[Figure]:
    """Yield how fast memory, descriptors and maps grew once warm."""
    start = int(len(there.readings) * WARM_UP)
    settled = there.readings[start:]
    at_s = [reading.at_s for reading in settled]
    last = settled[-1]
    rows = [
        ("daemon RSS", "MiB/h", [r.rss_mib for r in settled], f"{last.rss_mib:.0f} MiB"),
        ("daemon descriptors", "1/h", [float(r.fds) for r in settled], f"{last.fds}"),
    ]
    for name in MAPS:
        values = [float(fill[name]) for fill in fills[start:]]
        rows.append((f"map {name}, entries", "1/h", values, f"{values[-1]:,.0f}"))
    for name, unit, values, end in rows:
        yield risen(name, unit, slope(at_s, values), end)


def risen(name: str, unit: str, found: Slope, end: str) -> Figure:
    """Return a slope per hour as a figure; it misses its goal when it surely rises."""
    note = f"± {PER_HOUR * found.margin:.3g}; at the end {end}; {'flat' if found.flat else 'RISES'}"
    goal = Goal(AT_MOST, PER_HOUR * found.margin)
    return Figure(f"soak, {name}", PER_HOUR * found.per_s, unit, goal, note)


def main() -> int:
    """Soak, print the table, clean up."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--markdown", action="store_true", help="print rows for the README")
    asked = parser.parse_args()
    if os.geteuid():
        sys.stderr.write("The soak loads BPF programs: run it as root.\n")
        return NO_PRIVILEGE
    figures: list[Figure] = []
    try:
        figures.extend(measure(asked.seconds, lambda text: print(f"  {text}", file=sys.stderr)))
    except CommandError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(report(figures, markdown=asked.markdown))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
