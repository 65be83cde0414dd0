"""What came into each stage on the way from kernel to central, went on, waits there, or was lost.

Every stage is counted at its two ends by different hands, so that the sum proves
something: what came in is what went on, was lost for a named reason, or still waits.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

UNEXPLAINED: Final = "unexplained"
"""The reason for what no counter of the stage accounts for: never expected, always told."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage, in the unit that its name stands for, over the life of this daemon.

    Attributes:
        came: In; None where nobody can know.
        went: On to the next stage; None where nobody can know.
        lost: By reason; a reason that did not occur may be absent.
        summarised: Counted by where it was, and not handed on one by one.
        pending: Waits; None where nobody can know.
        more: Facts beside the account, such as how much of what went on went where.
    """

    name: str
    came: int | None
    went: int | None
    lost: Mapping[str, int]
    pending: int | None = 0
    more: Mapping[str, int | float] = field(default_factory=dict)
    summarised: int = 0

    @property
    def balance(self) -> int | None:
        """What came in and is neither gone on, lost nor waiting; None where nobody can know."""
        if self.came is None or self.went is None or self.pending is None:
            return None
        gone = self.went + sum(self.lost.values()) + self.summarised
        return self.came - gone - self.pending

    def told(self) -> dict[str, Any]:
        """Plain values; what does not add up is a loss with that reason."""
        lost = {reason: count for reason, count in self.lost.items() if count}
        if self.balance:
            lost[UNEXPLAINED] = self.balance
        return {
            "stage": self.name,
            "in": self.came,
            "out": self.went,
            "lost": lost,
            "pending": self.pending,
            **({"summarised": self.summarised} if self.summarised else {}),
            **self.more,
        }


def kernel(submitted: int, summarised: int, lost: Mapping[str, int]) -> Stage:
    """Records: due by what the probes saw; handed to the ring, or beyond a workload's pace."""
    came = submitted + summarised + sum(lost.values())
    return Stage("kernel", came, submitted, lost, summarised=summarised)


def crowds(summarised: int, told: int, waiting: int) -> Stage:
    """Records that were not made: counted, and counted again by where they were.

    Args:
        summarised: By the kernel's counter; read first.
        told: By crowd. What a daemon before had told may be among them.
        waiting: In crowds that are not told yet.
    """
    went = min(told, summarised)
    return Stage("crowds", summarised, went, {}, min(summarised - went, waiting))


def calls(counted: int, in_sequences: int, grams_full: int) -> Stage:
    """System calls of watched threads: counted, and counted again as the last of seven.

    Args:
        counted: Of all workloads, looked up last: what falls between waits for the next reading.
        in_sequences: Told to the windows. What waited when an earlier daemon ended is told by this
            one, whose count it is not in: by so many they are ahead.
        grams_full: Times a sequence found no room.
    """
    went = min(in_sequences, counted)
    waits = max(counted - went - grams_full, 0)
    return Stage("calls", counted, went, {"grams_full": grams_full}, waits)


def requests(counted: int, by_route: int, routes_full: int) -> Stage:
    """Requests on accepted connections: counted, and counted again by route.

    Args:
        counted: Of all workloads.
        by_route: Told to the windows. Routes are read a moment later: what was asked between is
            ahead in them, until the next reading counts it.
        routes_full: Times a route or a client found no room.
    """
    went = min(by_route, counted)
    lost = {"routes_full": counted - went} if routes_full else {}
    return Stage("requests", counted, went, lost, 0 if routes_full else counted - went)


def marks(losses: Mapping[str, int]) -> Stage:
    """What the kernel could not note or read; how often it tried, nobody counts."""
    return Stage("marks", None, None, losses, None)


def ring(submitted: int, read: int, waiting: int, lost: Mapping[str, int]) -> Stage:
    """Records: submitted by the probes, read by the agent.

    Args:
        submitted: Since this daemon began, with what waited then; looked up after `read`.
        read: By this daemon.
        waiting: In the ring now; looked up last.
        lost: Taken by another reader; submitted long ago and never there.
    """
    rest = submitted - read - sum(lost.values())
    return Stage("ring", submitted, read, lost, rest if 0 <= rest <= waiting else waiting)


def decode(read: int, decoded: int, rejected: int, failed: int) -> Stage:
    """Records: read, turned into sightings."""
    return Stage("decode", read, decoded, {"rejected": rejected, "failed": failed})


def items(came: int, went: Mapping[str, int], lost: Mapping[str, int]) -> Stage:
    """Sightings: to the workload's watcher, to the self-test, or of nobody watched."""
    return Stage("items", came, sum(went.values()), lost, 0, went)


def windows(due: int, judged: int, failed: int, late: int, longest_s: float) -> Stage:
    """Windows of workloads at work; a late one holds more seconds than planned."""
    more = {"late": late, "longest_s": round(longest_s, 3)}
    return Stage("window", due, judged, {"not_judged": failed}, 0, more)


def by_level(lost: Mapping[str, int], reason: str) -> dict[str, int]:
    """Losses that are counted by level, as reasons."""
    return {f"{reason}_{level}": count for level, count in lost.items() if count}


def summed(stages: Iterable[Stage]) -> dict[str, int]:
    """Every loss, by stage and reason."""
    return {
        f"{one['stage']}.{reason}": count
        for one in (stage.told() for stage in stages)
        for reason, count in one["lost"].items()
    }
