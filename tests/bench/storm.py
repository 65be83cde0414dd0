"""A storm: one process makes files as fast as a core can, another forks as fast as it can."""

import time
from collections.abc import Iterator

from tests.bench.figures import AT_MOST, Figure, Goal, unmeasured
from tests.bench.usage import percent, slope
from tests.bench.weather import FILES, FORKS, Post, Report, Storm, post, unaccounted
from tests.demo.commands import wait_for

EVERY_S = 1.0
HEALTHY_S = 90.0  # a loss stands in the status for a minute
CALM_S = 5.0
WARM_UP = 0.2
"""Of the readings: while the first batches are taken in, memory grows to its size."""


def measure(seconds: float) -> Iterator[Figure]:
    """Yield what was lost unseen, what it cost, and whether calm came back."""
    with post() as there:
        storms = [Storm(there.stage.directory, deed, seconds, 0) for deed in (FILES, FORKS)]
        try:
            for storm in storms:
                there.watch(storm)
            before = there.settled()
            for storm in storms:
                storm.begin()
            there.follow(seconds, EVERY_S)
            made = {storm.deed: storm.made() for storm in storms}
            after = there.settled()
            yield from account(made, before, after)
            yield from costs(there)
            yield from calm(there)
        finally:
            for storm in storms:
                storm.end()


def account(made: dict[str, int], before: Report, after: Report) -> Iterator[Figure]:
    """Yield the unaccounted, beside what was done and what was counted as lost."""
    lost = {why: n - before.lost[why] for why, n in after.lost.items() if n > before.lost[why]}
    words = ", ".join(f"{why} {n:,}" for why, n in sorted(lost.items())) or "nothing"
    crowds = sum((after.summarised - before.summarised).values())
    note = f"{made[FILES]:,} files, {made[FORKS]:,} forks; counted as lost: {words}; "
    note += f"summarised {crowds:,}"
    missing = unaccounted(made, before, after)
    yield Figure("storm, deeds not accounted for", missing, "", Goal(AT_MOST, 0), note)
    share = after.lost["kernel.ring_full"] - before.lost["kernel.ring_full"]
    yield Figure("storm, records lost and counted", 100 * share / sum(made.values()), "%")


def costs(there: Post) -> Iterator[Figure]:
    """Yield the daemon's processor and memory during the storm."""
    first, last = there.readings[0], there.readings[-1]
    goal = Goal(AT_MOST, 25.0)
    yield Figure("storm, daemon CPU", percent(first, last), "%", goal, "of one core")
    settled = there.readings[int(len(there.readings) * WARM_UP) :]
    rise = slope([r.at_s for r in settled], [r.rss_mib for r in settled])
    note = f"± {60 * rise.margin:.2g}; at its end {last.rss_mib:.0f} MiB"
    yield Figure("storm, daemon RSS, rise", 60 * rise.per_s, "MiB/min", None, note)


def calm(there: Post) -> Iterator[Figure]:
    """Yield how long until the status is healthy, and how many windows were late after that."""
    began = time.monotonic()
    if not wait_for(lambda: there.report().health == "healthy", HEALTHY_S, 1.0):
        reasons = "; ".join(there.report().reasons)
        yield unmeasured("storm, until healthy again", f"not within {HEALTHY_S:.0f} s: {reasons}")
        return
    note = "a counted loss stands in the status for a minute"
    yield Figure("storm, until healthy again", time.monotonic() - began, "s", None, note)
    late = there.report().late
    time.sleep(CALM_S)
    note = f"in {CALM_S:.0f} s"
    late = there.report().late - late
    yield Figure("storm, late windows once healthy", late, "", Goal(AT_MOST, 0), note)
