"""What happened in one workload during one stretch of time: the input of every detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.features import vector


class ItemKind(StrEnum):
    """What sort of thing was seen for the first time."""

    EXEC = "exec"
    FILE = "file"
    WRITE = "write"
    LIBRARY = "library"
    PEER = "peer"
    LISTEN = "listen"
    SYSCALL = "syscall"
    SEQUENCE = "sequence"
    CAPABILITY = "capability"
    DEVICE = "device"
    GPU = "gpu"
    MODEL = "model"
    ENDPOINT = "endpoint"
    PROBE = "probe"


COPIES: Final = {"worker": "main"}
"""A worker is a copy of the main process that ran no other program: what its original was learnt
to do says what it does, too, where no worker was seen."""


class Phase(StrEnum):
    """Where in its life a server is, told from facts (it listens, it answered, it reloads)."""

    STARTUP = "start-up"
    WARMUP = "warm-up"
    STEADY = "steady"
    RELOAD = "reload"
    DRAIN = "drain"


STARTING: Final = "starting"
"""Mark of what a process did that had itself just started, such as a worker added later: it is
judged as a start-up, whatever the server around it does."""

KNOWN_HOST: Final = "known-host"
"""Mark of a host name that serving software is known to ask for, such as its maker's telemetry."""

NAME_SERVICE: Final = "name-service"
"""Mark of a peer that is a name server of the host, by the host's own configuration."""

TEMPORARY: Final = "temporary"
"""Mark of a file where its process was told at its start to put temporary ones."""

_STRANGER: Final = "stranger "


def stranger(exe: str, script: str = "") -> str:
    """Return the role of a process that is none of the workload's, and opened what is."""
    return f"{_STRANGER}{exe} {script}".rstrip()


def is_stranger(role: str) -> bool:
    """Tell whether a role is of no process of the workload."""
    return role.startswith(_STRANGER)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing the kernel saw a workload do for the first time.

    Attributes:
        kind: What sort of thing.
        item: A path, a peer (``tcp 10.0.0.1:443``, ``udp [::1]:53``, ``unix /run/x.sock``,
            ``accept tcp 127.0.0.1``, ``accept unix by /usr/bin/x uid 1000``, ``refused tcp
            10.0.0.1:443``), a listener (``tcp 0.0.0.0:8000``), a call's name.
        role: ``main``, ``unknown-child``, a role of the engine's profile, or, of somebody outside
            the workload, what `stranger` returns.
        time_ns: CLOCK_MONOTONIC.
        pid: Thread group that did it.
        exe: Its executable, empty where unknown.
        marks: Of ``create``, ``deleted``, ``memfd``, ``anonymous``, ``stdio-socket``,
            ``truncated``, ``foreign``, ``mprotect``, ``wildcard``, ``given``, ``other-user``,
            ``listed``, ``made`` (written, and made by the workload itself before), ``mapped``,
            ``shared``, ``starting``, ``stranger``, ``watched``, ``written``, ``known-host``,
            ``name-service``, ``temporary``; of a refused peer the error; of a change of
            name or attribute one of `detectors.changes.CHANGES`; of a model file that is not as
            approved one of `detectors.rules.models`.
        count: How often in this window.
        other: The other name of a rename or a link; the new mode, owner or length; how a model
            file differs from what was approved.
        host_path: Where the host has the file, if not under `item`.
    """

    kind: ItemKind
    item: str
    role: str
    time_ns: int
    pid: int
    exe: str = ""
    marks: frozenset[str] = frozenset()
    count: int = 1
    other: str = ""
    host_path: str = ""


@dataclass(frozen=True, slots=True)
class Upload:
    """What one peer was sent on connections that the workload opened itself.

    Attributes:
        peer: As an item names it.
        sent_bytes: In this window.
        total_bytes: Since the peer was first heard of.
    """

    peer: str
    sent_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Route:
    """What one kind of request came to.

    Attributes:
        route: ``POST /v1/completions``.
        answers: Of any status; `errors` of them 5xx, `refusals` 4xx.
        answered: Requests at their end, however they ended.
        denied: Of the refusals, 401, 403, 404 and 405: nobody acted on them.
    """

    route: str
    requests: int = 0
    answered: int = 0
    answers: int = 0
    errors: int = 0
    refusals: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    denied: int = 0


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was asked of a workload in one window, or in several.

    Attributes:
        length_s: Seconds.
        client: Address that asked most; behind a proxy, all that it speaks for.
        client_requests: What it asked.
        client_inputs: Different things it asked for in half a minute, estimated.
        unasked_bytes: Sent on accepted connections while no request was under way.
    """

    length_s: float
    routes: tuple[Route, ...] = ()
    client: str = ""
    client_requests: int = 0
    client_inputs: int = 0
    unasked_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Grams:
    """Exact 7-gram counts of one role in one window.

    Attributes:
        role: Whose calls.
        words: Shape (n,), uint64: seven call numbers of nine bits, each plus one, the newest
            lowest; 0 stands for "before the thread's first call".
        counts: Shape (n,), uint64, one count per word.
    """

    role: str
    words: NDArray[np.uint64]
    counts: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Window:
    """One workload, one stretch of time.

    Attributes:
        workload: Its name.
        start_ns: CLOCK_MONOTONIC.
        length_s: Seconds.
        phase: Where in its life the server was.
        lost: Records and counts known to be missing.
        features: Raw readings by feature name; absent or NaN means "not read", never 0.
        grams: Per role.
        items: Things seen for the first time, in the order of the kernel.
        uploads: The peers it sent most to, most first; not all.
        weights_bytes: Size of the weights that it opened or mapped; 0: none known.
        traffic: What was asked of it; None if nothing was.
        summarised: Things beyond its pace: counted in items that stand for many, `DIRECTORY/*`.
    """

    workload: str
    start_ns: int
    length_s: float
    phase: Phase
    lost: int
    features: Mapping[str, float] = field(default_factory=dict)
    grams: tuple[Grams, ...] = ()
    items: tuple[Item, ...] = ()
    uploads: tuple[Upload, ...] = ()
    weights_bytes: int = 0
    traffic: Traffic | None = None
    summarised: int = 0
    _row: NDArray[np.float64] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def row(self) -> NDArray[np.float64]:
        """Its readings in the order of FEATURES, read-only; made once, for all who ask.

        Raises:
            FeatureError: impossible readings.
        """
        if self._row is not None:
            return self._row
        made = vector(self.features)
        made.flags.writeable = False
        object.__setattr__(self, "_row", made)
        return made

    @property
    def end_ns(self) -> int:
        """When the window ended, CLOCK_MONOTONIC."""
        return self.start_ns + round(self.length_s * 1e9)

    @property
    def calls(self) -> int:
        """How many system calls its grams count."""
        return sum(int(grams.counts.sum()) for grams in self.grams)

    @property
    def at_work(self) -> bool:
        """Whether it did anything."""
        return self.calls > 0 or self.features.get("syscalls", 0.0) > 0

    @property
    def is_evidence(self) -> bool:
        """Whether the server was at work: an idle or starting one teaches nothing."""
        return self.at_work and self.phase in (Phase.STEADY, Phase.RELOAD)
