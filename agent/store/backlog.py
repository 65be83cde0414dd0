"""What waits in memory while the disk takes nothing: bounded, and its loss is counted."""

from collections import deque
from typing import Generic, TypeVar

from agent.store.levels import LEVELS

T = TypeVar("T")


class Backlog(Generic[T]):
    """Keeps at most `limit` things in order; when full, the oldest of the lowest level goes.

    Args:
        limit: How many things are kept, over all levels.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: tuple[deque[tuple[int, T]], ...] = tuple(deque() for _ in LEVELS)
        self._next = 0
        self.lost = [0] * len(LEVELS)

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._waiting)

    def push(self, thing: T, rank: int) -> None:
        """Add `thing` of level `rank` as the newest."""
        self._waiting[rank].append((self._next, thing))
        self._next += 1
        if len(self) > self._limit:
            lowest = next(rank for rank, queue in enumerate(self._waiting) if queue)
            self._waiting[lowest].popleft()
            self.lost[lowest] += 1

    def peek(self) -> tuple[T, int] | None:
        """Return the oldest thing and its level, which stays; None when nothing waits."""
        heads = [(queue[0], rank) for rank, queue in enumerate(self._waiting) if queue]
        if not heads:
            return None
        (_, thing), rank = min(heads, key=lambda head: head[0][0])
        return thing, rank

    def pop(self) -> tuple[T, int] | None:
        """Remove and return the oldest thing and its level; None when nothing waits."""
        oldest = self.peek()
        if oldest is not None:
            self._waiting[oldest[1]].popleft()
        return oldest
