"""What an operator probe tells, added up between two messages; and whether it floods."""

from dataclasses import dataclass, field
from typing import Final

MOST_GROUPS: Final = 512
"""Different (process, item) pairs between two messages; more are counted as lost."""

FLOOD_S: Final = 3
"""Seconds in a row above its rate before a probe is switched off."""

ITEM_CHARACTERS: Final = 256

Row = list[object]
"""Process, time, item's text, how often, sums by name."""


@dataclass(slots=True)
class Tally:
    """Pure: time enters as an argument.

    Args:
        rate: Events a second that are allowed.

    Attributes:
        events: Since the last message.
        lost: Of these, not told: the kernel's buffer was full, or too many differed.
    """

    rate: int
    events: int = 0
    lost: int = 0
    _groups: dict[tuple[int, str], list[int]] = field(default_factory=dict)
    _sums: dict[tuple[int, str], dict[str, int]] = field(default_factory=dict)
    _second: int = 0
    _in_second: int = 0
    _high: int = 0

    def add(self, pid: int, item: str, time_ns: int, sums: dict[str, int]) -> None:
        """Take one event in."""
        self.events += 1
        key = (pid, item)
        group = self._groups.get(key)
        if group is not None:
            group[1] += 1
            mine = self._sums[key]
            for name, amount in sums.items():
                mine[name] += amount
        elif len(self._groups) < MOST_GROUPS:
            self._groups[key], self._sums[key] = [time_ns, 1], sums
        else:
            self.lost += 1

    def lose(self, count: int) -> None:
        """Count what the kernel's buffer had no room for."""
        self.events += count
        self.lost += count

    def flooded(self, now_ns: int, total: int) -> bool:
        """Whether the rate was passed for `FLOOD_S` seconds in a row; `total` only ever grows."""
        second = now_ns // 1_000_000_000
        if second == self._second:
            return False
        elapsed = second - self._second if self._second else 1
        per_second = (total - self._in_second) / elapsed
        self._second, self._in_second = second, total
        self._high = self._high + elapsed if per_second > self.rate else 0
        return self._high >= FLOOD_S

    def take(self) -> tuple[int, int, list[Row]]:
        """Events, losses and rows since the last call."""
        rows: list[Row] = [
            [pid, time_ns, item, count, self._sums[pid, item]]
            for (pid, item), (time_ns, count) in self._groups.items()
        ]
        told = (self.events, self.lost, rows)
        self.events = self.lost = 0
        self._groups, self._sums = {}, {}
        return told

    @property
    def waiting(self) -> bool:
        """Whether there is something to tell."""
        return bool(self.events)


def words(value: object) -> str:
    """A member of an event as text: C strings up to their NUL, what is not printable escaped."""
    if isinstance(value, bytes):
        text = value.partition(b"\0")[0].decode("utf-8", "backslashreplace")
        return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return str(value)


def item_text(name: str, values: list[tuple[str, object]]) -> str:
    """The item of an event: `NAME: member=value member=value`."""
    told = " ".join(f"{member}={words(value)}" for member, value in values)
    return f"{name}: {told}"[:ITEM_CHARACTERS]
