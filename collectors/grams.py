"""The kernel's table of 7-grams, and what grew between two readings of it.

A gram is who (workload and role) and a word: the numbers of a thread's last seven calls. The
kernel gives each a place of its own (`probes/grams.bpf.h`) and counts there, once for each CPU;
the table lies in this process's memory too and is read without a system call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from probes.maps import BpfMap
    from probes.schema import Schema

GRAM: Final = np.dtype([("workload", "<u4"), ("role", "<u2"), ("word", "<u8"), ("count", "<u8")])
"""One row of what is read here; rows are sorted by workload, role and word."""

_EVICT_ABOVE: Final = 0.75  # share of the table's places
_LEAVING: Final = np.uint64(2**64 - 1)  # no word: seven numbers are 63 bits
_FREE: Final = np.uint64(0)
_ROLE_BITS: Final = np.uint64(16)
_ROLE: Final = np.uint64(0xFFFF)


class GramTable:
    """Reads one table, and takes out of it what stands still when it fills up.

    Args:
        maps: With `grams` and `gram_counts`.
        schema: Types of the object that made them.

    Raises:
        ProbeError: They cannot be mapped into memory.
    """

    def __init__(self, maps: Mapping[str, BpfMap], schema: Schema) -> None:
        """Map the table; places that a reader before was taking words out of become free."""
        ways = schema.limit("GRAM_WAYS")
        lines = maps["grams"].memory().view("<u8")
        self._words, self._owners = lines[:, :ways], lines[:, ways : 2 * ways]
        self.places = self._words.size
        self._counts = maps["gram_counts"].memory().view("<u8").reshape(-1, self.places)
        self._owned = np.uint64(schema.limit("GRAM_OWNED") - 1)
        self._known = np.zeros(0, np.intp)  # places in use
        self._used = np.zeros(0, np.intp)  # the same, by the order of the rows
        self._seen = np.zeros(0, np.uint64)  # what was counted at each of them
        self._starts = np.zeros(0, np.intp)  # of each row, the first of its places
        self._rows = np.zeros(0, GRAM)
        self._shown = np.zeros(0, np.intp)
        self._leaving = (np.flatnonzero(self._words == _LEAVING), self._rows)
        self._free()

    def read(self) -> NDArray[np.void]:
        """Every gram with its count since the table was made."""
        words, owners = self._words.ravel(), self._owners.ravel()
        used = np.flatnonzero((words != _FREE) & (words != _LEAVING) & (owners != 0))
        if not np.array_equal(used, self._known):
            self._arrange(used, words[used], owners[used] & self._owned)
        self._seen = self._counts[:, self._used].sum(axis=0, dtype=np.uint64)
        rows = self._rows.copy()
        if len(rows):
            rows["count"] = np.add.reduceat(self._seen, self._starts)
        self._shown = np.flatnonzero(rows["count"])  # the others are being put there
        return rows[self._shown]

    def _arrange(
        self, used: NDArray[np.intp], words: NDArray[np.uint64], owners: NDArray[np.uint64]
    ) -> None:
        """Sort; a gram that two CPUs put into the table at once has two places, and is one row."""
        order = np.lexsort((words, owners))
        words, owners = words[order], owners[order]
        first = np.ones(len(order), bool)
        first[1:] = (words[1:] != words[:-1]) | (owners[1:] != owners[:-1])
        self._known, self._used, self._starts = used, used[order], np.flatnonzero(first)
        self._rows = np.zeros(len(self._starts), GRAM)
        self._rows["workload"] = owners[first] >> _ROLE_BITS
        self._rows["role"] = owners[first] & _ROLE
        self._rows["word"] = words[first]

    def evict(
        self, grams: NDArray[np.void], changed: NDArray[np.void]
    ) -> tuple[NDArray[np.void], NDArray[np.void], int]:
        """Make room: what did not change since the reading before goes, rarest first.

        A word is marked first and its place freed at the next reading: what a CPU counts there
        in between, having found it before it was marked, is not lost.

        Args:
            grams: As just read.
            changed: What of these grew.

        Returns:
            What of `grams` stays; what earlier leavers were still counted, which no reading had;
            and how many leave now.
        """
        late = self._free()
        if len(self._used) <= _EVICT_ABOVE * self.places:
            return grams, late, 0
        idle = ~contains(changed, grams)
        order = np.flatnonzero(idle)[np.argsort(grams["count"][idle], kind="stable")]
        gone = order[: max(len(grams) - int(_EVICT_ABOVE * self.places / 2), 0)]
        row_of = np.repeat(np.arange(len(self._rows)), np.diff([*self._starts, len(self._used)]))
        leaves = np.isin(row_of, self._shown[gone])
        left = self._rows[row_of[leaves]]
        left["count"] = self._seen[leaves]
        places = self._used[leaves]
        self._words[places // self._words.shape[1], places % self._words.shape[1]] = _LEAVING
        self._leaving = (places, left)
        return np.delete(grams, gone), late, len(gone)

    def _free(self) -> NDArray[np.void]:
        """Give the places of leavers to whoever comes; return what was counted there since."""
        (places, left), ways = self._leaving, self._words.shape[1]
        self._leaving = (np.zeros(0, np.intp), np.zeros(0, GRAM))
        late = left.copy()
        if len(left):
            late["count"] = self._counts[:, places].sum(axis=0, dtype=np.uint64) - left["count"]
        # In this order: a place is taken as soon as its word is gone.
        self._counts[:, places] = 0
        self._owners[places // ways, places % ways] = 0
        self._words[places // ways, places % ways] = _FREE
        return late[late["count"] > 0]


def joined(first: NDArray[np.void], second: NDArray[np.void]) -> NDArray[np.void]:
    """Two tables as one: counts of the same gram are added."""
    both = np.concatenate([first, second])
    both = both[np.lexsort((both["word"], both["role"], both["workload"]))]
    starts = np.flatnonzero(np.r_[True, _identity(both)[1:] != _identity(both)[:-1]][: len(both)])
    grams = both[starts].copy()
    if len(grams):
        grams["count"] = np.add.reduceat(both["count"], starts)
    return grams


def difference(before: NDArray[np.void], now: NDArray[np.void]) -> NDArray[np.void]:
    """What grew, with by how much."""
    if len(before) == len(now) and all(
        (before[name] == now[name]).all() for name in ("word", "role", "workload")
    ):
        # Nothing new and nothing gone, as in most windows: no search.
        growth = now.copy()
        growth["count"] -= np.minimum(before["count"], growth["count"])
        return growth[growth["count"] > 0]
    known: NDArray[np.bool_] = contains(before, now)
    growth = now.copy()
    if known.any():
        at = _search(before, now[known])
        growth["count"][known] -= np.minimum(before["count"][at], growth["count"][known])
    return growth[growth["count"] > 0]


def contains(some: NDArray[np.void], of: NDArray[np.void]) -> NDArray[np.bool_]:
    """For each of `of`, whether it is among `some`; both sorted."""
    if not len(some):
        return np.zeros(len(of), bool)
    at = np.minimum(_search(some, of), len(some) - 1)
    return np.asarray(_identity(some)[at] == _identity(of))


def _identity(grams: NDArray[np.void]) -> NDArray[np.void]:
    return grams[["workload", "role", "word"]]


def _search(where: NDArray[np.void], what: NDArray[np.void]) -> NDArray[np.intp]:
    """Positions by binary search over (workload and role, word), without structured comparison."""
    both = np.concatenate([where, what])
    upper = (both["workload"].astype(np.uint64) << _ROLE_BITS) | both["role"]
    order = np.lexsort((np.arange(len(both)) < len(where), both["word"], upper))
    is_where = order < len(where)
    before: NDArray[np.intp] = np.cumsum(is_where) - is_where
    positions = np.zeros(len(both), np.intp)
    positions[order] = before
    return positions[len(where) :]
