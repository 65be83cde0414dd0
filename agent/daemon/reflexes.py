"""Reflexes: what the kernel may answer by itself for each workload, kept as the baselines say.

Looked at once a second. An order lasts `contain_for_s` beyond the latest look, so that it outlives
a daemon that dies, and ends.
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent.errors import RefusedError
from agent.log import log
from agent.response.guard import Guard
from agent.response.learnt import Learnt, learnt
from agent.response.secret_files import secret_files
from agent.response.switch import ContainmentSwitch, SwitchError
from agent.response.tree import Tree
from collectors.numbers import Number, mount_devices, number_of
from collectors.procfs import ReadCounts
from detectors.assessment import BaselineState
from detectors.window import Phase
from probes.errors import ProbeError
from probes.loader import Sensor
from probes.reflex import ACTS, MOST_GRANTS, Grant, Order, ReflexMaps, of_file, of_name

if TYPE_CHECKING:
    from agent.config.schema import Settings
    from agent.daemon.watcher import Watcher

LOOK_S: Final = 1.0
"""Between looks at what lies under learnt names: a program that was replaced is denied so long."""

_STARTING: Final = frozenset({Phase.STARTUP, Phase.WARMUP})
_NS: Final = 1_000_000_000


@dataclass(slots=True)
class Held:
    """What is known of one workload with a reflex.

    Attributes:
        known: What its baseline knows, for the kernel, when it had `size` keys.
        checked: Its processes when the guard rails were last asked.
        refused: What they said; "" for nothing.
    """

    size: int = -1
    known: Learnt | None = None
    checked: frozenset[int] = frozenset()
    refused: str = ""
    why: str = ""
    acts: tuple[str, ...] = ()


class Reflexes:
    """Gives, renews and takes back the kernel's orders; one per daemon."""

    def __init__(
        self,
        sensor: Sensor,
        switch: ContainmentSwitch | None,
        guard: Guard,
        breaker_open: Callable[[], bool],
    ) -> None:
        """What an earlier daemon ordered stays until the first look."""
        self._maps = ReflexMaps(sensor.maps, sensor.schema)
        self._switch, self._guard, self._breaker_open = switch, guard, breaker_open
        self._held: dict[int, Held] = {}
        self._root = _identity("/")
        self._counts = ReadCounts()

    def begin(
        self,
        every: Callable[[float, Callable[[int], None]], None],
        watchers: Iterable[Watcher],
        settings: Callable[[], Settings],
    ) -> None:
        """Look from now on; `watchers` is read anew each time."""
        every(LOOK_S, lambda _: self.tick(watchers, settings()))

    def tick(self, watchers: Iterable[Watcher], settings: Settings) -> None:
        """Order what the baselines allow to be ordered, and cancel everything else."""
        try:
            kept = {watcher.found.id for watcher in watchers if self._follow(watcher, settings)}
            for number in self._maps.ordered() - kept:
                self._maps.cancel(number)
        except (ProbeError, SwitchError) as error:
            log.once("reflex.failed", why=error)

    def suspend(self, watcher: Watcher) -> None:
        """Answer nothing for now: it starts again, and what it does then may not be learnt."""
        try:
            if watcher.found.id in self._maps.ordered():
                self._maps.cancel(watcher.found.id)
        except ProbeError as error:
            log.once("reflex.failed", why=error)

    def status(self, watcher: Watcher) -> dict[str, Any]:
        """What is armed, why not all that was asked for, and what was done."""
        held = self._held.get(watcher.found.id)
        if not watcher.reflex or held is None:
            return {}
        count = self._maps.count(watcher.found.id)
        return {"armed": list(held.acts), "why_not": held.why, "done": count.done,
                "spared": count.spared}  # fmt: skip

    def spared(self, watcher: Watcher, settings: Settings) -> bool:
        """Whether it acts no more for now: too many different acts in one period."""
        count = self._maps.count(watcher.found.id)
        left_ns = count.start_ns + settings.response.reflex_minutes * 60 * _NS - time.monotonic_ns()
        return count.acts > settings.response.reflex_count and left_ns > 0

    def _follow(self, watcher: Watcher, settings: Settings) -> bool:
        """Return whether an order stands."""
        held = self._held.setdefault(watcher.found.id, Held())
        before = held.acts
        held.acts, held.why = (), self._refusal(watcher, held) if watcher.reflex else ""
        if watcher.reflex and not held.why:
            held.acts = self._possible(watcher, held)
        if before != held.acts:
            log.info("reflex.armed", workload=watcher.found.name, acts=list(held.acts),
                     why_not=held.why)  # fmt: skip
        if not held.acts:
            return False
        grants = self._grants(watcher, held)
        if len(grants) > MOST_GRANTS:
            held.acts, held.why = (), f"{len(grants)} learnt things are more than the kernel holds"
            return False
        bounds = settings.response
        until_ns = time.monotonic_ns() + int(bounds.contain_for_s * _NS)
        dry = watcher.dry_run or self._breaker_open()
        self._maps.allow(watcher.found.id, grants)
        self._maps.order(
            watcher.found.id,
            Order(frozenset(held.acts), until_ns, bounds.reflex_count, bounds.reflex_minutes * 60,
                  dry),
        )  # fmt: skip
        return True

    def _refusal(self, watcher: Watcher, held: Held) -> str:
        """Return why nothing may be answered now; "" if it may."""
        judge, found = watcher.judge, watcher.found
        baseline = judge.baseline
        if baseline.state is not BaselineState.GUARDING or baseline.outdated:
            return f"the baseline is {baseline.state.value}; only a guarding one acts"
        if not found.pids or not found.roots:
            return "it does not run"
        if judge.phase in _STARTING and judge.phase not in baseline.repertoire.phases:
            return "it starts, and was never learnt starting"
        if held.checked != found.pids:
            held.refused = self._guarded(watcher)
            held.checked = found.pids
        return held.refused

    def _guarded(self, watcher: Watcher) -> str:
        target = watcher.target()
        try:
            self._guard.check(target, Tree(target, self._switch).processes())
        except RefusedError as error:
            return str(error)
        return ""

    def _possible(self, watcher: Watcher, held: Held) -> tuple[str, ...]:
        """Return the acts that can be told apart where this workload runs."""
        acts = watcher.reflex
        root = f"/proc/{watcher.found.roots[0]}/root"
        if "secret" in acts and _identity(root) != self._root:
            held.why = "secret: in a root directory of its own, where secrets lie is not known"
            acts = tuple(act for act in acts if act != "secret")
        return tuple(act for act in ACTS if act in acts)

    def _grants(self, watcher: Watcher, held: Held) -> set[Grant]:
        known = watcher.judge.baseline.repertoire
        if held.known is None or held.size != len(known) + len(known.programs):
            held.known = learnt(known, secret_files(_homes()))
            held.size = len(known) + len(known.programs)
        found: set[Grant] = set()
        if "connect" in held.acts:
            found |= held.known.peers
        root = watcher.found.roots[0]
        devices = mount_devices(root, self._counts)
        if "exec" in held.acts:
            found |= {of_name(name) for name in held.known.names}
            found |= self._files(root, devices, held.known.programs, ACTS["exec"])
        if "secret" in held.acts:
            found |= self._files(root, devices, held.known.secrets, ACTS["secret"])
        return found

    def _files(
        self, root: int, devices: dict[int, int], paths: Iterable[str], act: str
    ) -> set[Grant]:
        """Return what lies under these names now."""
        numbers: set[Number | None] = {
            number_of(f"/proc/{root}/root{path}", devices, self._counts) for path in paths
        }
        return {of_file(act, *number) for number in numbers if number is not None}


def _homes() -> set[Path]:
    return {Path(account.pw_dir) for account in pwd.getpwall()}


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 (text in, numbers out)
    except OSError:
        return None
    return found.st_dev, found.st_ino
