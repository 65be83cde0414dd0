"""What number each host has come to: tells what is new, what is stored, and what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.central.intake import Told, Verdict

Life = tuple[str, str]
"""A host and the epoch of its outbox."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers `first` to `last` of a host that this store does not hold.

    `reason`: "dropped" if the host's full outbox gave them up, "elsewhere" if some
    central acknowledged them and this one has them not, "refused" if they were
    no verdicts.
    """

    first: int
    last: int
    reason: str


@dataclass(frozen=True, slots=True)
class Placed:
    """What is to be stored of one message."""

    fresh: Sequence[Verdict]
    repeated: int
    gaps: Sequence[Gap]


@dataclass(slots=True)
class Sequences:
    """The last number stored of each host and epoch: one is enough, for hosts send in order."""

    marks: dict[Life, int] = field(default_factory=dict)

    def place(self, told: Told) -> Placed:
        """Compare a message with what was stored, and move the mark to its end."""
        mark = self.marks.get((told.host, told.epoch), 0)
        fresh = [verdict for verdict in told.verdicts if verdict.sequence > mark]
        refused = [number for number in told.refused if number > mark]
        gaps = [Gap(number, number, "refused") for number in refused]
        reached = mark
        for number in sorted([verdict.sequence for verdict in fresh] + refused):
            gaps.extend(_missing(reached + 1, number - 1, told.acked))
            reached = number
        self.marks[told.host, told.epoch] = max(mark, told.last)
        return Placed(fresh, len(told.verdicts) - len(fresh), gaps)


def _missing(first: int, last: int, acked: int) -> list[Gap]:
    told_elsewhere = min(last, acked)
    gaps = []
    if first <= told_elsewhere:
        gaps.append(Gap(first, told_elsewhere, "elsewhere"))
    if max(first, told_elsewhere + 1) <= last:
        gaps.append(Gap(max(first, told_elsewhere + 1), last, "dropped"))
    return gaps
