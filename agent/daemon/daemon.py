"""The daemon: sources in, verdicts out, in one loop."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final

from agent.config.schema import Settings
from agent.control import ControlServer
from agent.daemon.accounts import Accounts
from agent.daemon.approved import LOOK_S as LOOK_APPROVED_S
from agent.daemon.approved import Approved
from agent.daemon.artifacts import Artifacts
from agent.daemon.baselines import BaselineFiles
from agent.daemon.breaking import Breaking
from agent.daemon.cuda import Cuda
from agent.daemon.devices import Devices
from agent.daemon.fitting import Fitter
from agent.daemon.gpu_calls import GpuCalls
from agent.daemon.gpu_signals import GpuSignals
from agent.daemon.handlers import Handlers
from agent.daemon.hands import Hands
from agent.daemon.health import Health
from agent.daemon.holdings import Holdings, weights_of
from agent.daemon.images import held_before
from agent.daemon.inputs import Inputs
from agent.daemon.lineage import Lineage
from agent.daemon.looks import Looks
from agent.daemon.loop import Loop
from agent.daemon.membership import Membership
from agent.daemon.model_findings import Finding
from agent.daemon.notify import notify
from agent.daemon.phases import begins
from agent.daemon.protecting import Protecting
from agent.daemon.reflexes import Reflexes
from agent.daemon.registry import Found, Registry
from agent.daemon.routing import Router
from agent.daemon.secrets import mark_secrets
from agent.daemon.seen import Seen
from agent.daemon.selftest import SelfTest
from agent.daemon.sight import LOOK_S
from agent.daemon.status import Status
from agent.daemon.strangers import Strangers
from agent.daemon.tampering import Tampering
from agent.daemon.verdicts import Origin
from agent.daemon.watcher import Watcher, judge_settings
from agent.daemon.windows import Windows
from agent.errors import AgentError
from agent.evidence import Bounds, collect
from agent.evidence.subject import find
from agent.log import log
from agent.operator.probes import OperatorProbes
from agent.prior import shipped_prior
from agent.recording.tap import Tap
from agent.response.containment import Containment
from agent.response.containments import Containments
from agent.response.guard import Guard
from agent.response.pinned import PinnedSwitch
from agent.ship.shipper import Shipper
from agent.stacks.catcher import Catcher
from agent.stacks.symbols import Symbols
from agent.store import Store
from collectors.counters import Counters, Counts
from collectors.engines.rulebook import Rulebook
from collectors.processes import ProcessTable
from collectors.records import Records
from collectors.sightings import Sighting
from detectors.assessment import BaselineState
from detectors.judge import Judge
from detectors.window import Phase
from probes.loader import Sensor

TICK_S: Final = 0.5
"""Between looks at the ring without being woken: only what nobody watches waits for it."""

SCAN_S: Final = 5.0
"""Between looks at /proc for what no exec announced: a port that opened, a library mapped late."""

SAVE_S: Final = 30.0
HEALTH_S: Final = 5.0
GPU_S: Final = 10.0
MARK_S: Final = 60.0
"""Between looks for secret files that are new, or new files under their old names."""

MAX_BATCHES: Final = 8
_FIXED: Final = ("paths", "window", "gpu", "store", "ship", "central")


class Daemon:
    """Owns every part; `run` goes on until SIGTERM.

    Args:
        settings: The whole configuration.
        sensor: The loaded probes.
        store: The local record.
        shipper: None where no central is configured.
        read_settings: Reads the configuration again, at SIGHUP.
    """

    def __init__(
        self,
        settings: Settings,
        sensor: Sensor,
        store: Store,
        shipper: Shipper | None,
        read_settings: Callable[[], Settings],
    ) -> None:
        """Put the parts together; nothing runs yet."""
        self._read_settings = read_settings
        self.settings = settings
        self.sensor = sensor
        self.store = store
        self.shipper = shipper
        self.started_ns = time.monotonic_ns()
        self.offset_ns = time.time_ns() - self.started_ns
        self.loop = Loop(sensor.ring.fd, self._on_records, TICK_S)
        self.records = Records(sensor.schema)
        self.counters = Counters(sensor, settings.paths.run)
        self.membership = Membership(sensor)
        self.registry = Registry(
            self.membership, settings, Rulebook.load(*_rule_directories(settings))
        )
        self.windows = Windows(self.membership)
        self.seen, self.lineage = Seen(sensor), Lineage()
        self.strangers = Strangers(Holdings(sensor), self.lineage, self.registry, self.seen)
        self.devices, self.gpu_signals = Devices(GpuCalls(sensor)), GpuSignals()
        self.baselines, self.fitter = BaselineFiles(settings.paths.state), Fitter()
        switch = PinnedSwitch.open(settings.paths.pins, sensor.schema)
        guard = Guard(frozenset({os.getpid()}))
        self.containments = Containments(settings.paths.state, switch, guard)
        preserve = partial(_preserve, lambda: self.settings, switch)
        self.hands = Hands(settings, self.containments, self.loop.post, preserve)
        self.reflexes = Reflexes(sensor, switch, guard, lambda: self.hands.breaker_open)
        self.watchers: dict[str, Watcher] = {}
        self.router, self.looks = Router(self), Looks()
        self.cuda = Cuda(settings, sensor.schema, self.loop.post, self.router.completed)
        self.operator = OperatorProbes(
            settings.paths.probes,
            settings.paths.state / "headers",
            self.membership.read,
            self.registry.name_of,
            self.lineage,
            self._knows,
            self.router.route,
            self.loop.post,
        )
        self.symbols, self.inputs, self.tap = Symbols(self.loop.post), Inputs(self), Tap()
        self.losses: Counter[str] = Counter()
        self.selftest = SelfTest(self.loop, self.registry, settings.window.length_s)
        self.health, self.accounts, self.status = Health(self), Accounts(self), Status(self)
        self.control = ControlServer(settings.paths.run, Handlers(self).table())
        self.artifacts = Artifacts(settings.paths.state / "ledger.db", self.offset_ns)
        self.approved, self.tampering = self._comparing(), Tampering(self)
        self._window_start_ns = time.monotonic_ns()

    def run(self) -> None:
        """Start, go round, stop in order."""
        live = self.containments.live()
        self.registry.reserve({one.target.workload: one.target.workload_id for one in live})
        touched = self.containments.recover(self.registry.names())
        for one in touched:
            log.warning("containment.recovered", id=one.id, workload=one.target.workload)
        bounds = self.settings.response
        self.containments.note_stops(self.registry.names(), bounds.contain_for_s)
        self.scan()
        self.router.begin()
        self.control.start()
        every = self.loop.every
        every(self.settings.window.length_s, self._on_window)
        every(SCAN_S, self._on_scan)
        every(1.0, self.hands.tick)
        self.reflexes.begin(every, self.watchers.values(), lambda: self.settings)
        every(HEALTH_S, self._on_health)
        every(LOOK_S, self.health.integrity.look)
        self.tampering.begin(every)
        every(GPU_S, self._on_gpu)
        every(LOOK_APPROVED_S, self.approved.tick)
        mark_secrets(self.sensor)
        every(MARK_S, lambda _: mark_secrets(self.sensor))
        self.operator.load()
        for tick in (
            self.operator.tick, self.symbols.tick, self.router.taken, Breaking(self).look,
        ):  # fmt: skip
            every(TICK_S, tick)
        every(SAVE_S, lambda _: self.save(due=True))
        self.loop.signals = {
            signal.SIGTERM: self.loop.stop,
            signal.SIGINT: self.loop.stop,
            signal.SIGHUP: self._on_hangup,
            signal.SIGCONT: self.tampering.continued,
        }
        notify("READY=1", "STATUS=watching")
        log.info(
            "agent.started", tier=self.sensor.tier, resumed=self.sensor.resumed, pid=os.getpid()
        )
        if self.sensor.fresh:
            log.info("probes.begun_anew", why="nothing of an earlier agent is in this kernel")
        self.health.integrity.begin(self.started_ns)
        if (done := self.sensor.handover) is not None:
            log.info("probes.handed_over", gap_ms=round(done.gap_ms, 3),
                     took_ms=round(done.took_ms, 3), made_anew=list(done.changed))  # fmt: skip
        for note in self.sensor.notes:
            log.warning("probes.not_carried_over", what=note)
        try:
            self.loop.run()
        finally:
            notify("STOPPING=1")
            self.close()

    def _on_hangup(self) -> None:
        with suppress(AgentError):  # told by `reload` itself; the old settings stay in force
            self.reload()

    def reload(self) -> list[str]:
        """Read the configuration again; a bad one changes nothing, and the log says why.

        Returns:
            What only a restart can change, by key.
        """
        notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        self.tampering.look_at_files(time.monotonic_ns())
        try:
            fresh = self._read_settings()
        except AgentError as error:
            log.error("config.not_reloaded", why=error)
            raise
        finally:
            notify("READY=1")
        fixed = [name for name in _FIXED if getattr(fresh, name) != getattr(self.settings, name)]
        self.settings = replace(fresh, **{name: getattr(self.settings, name) for name in _FIXED})
        self.registry.reconfigure(self.settings)
        self.hands.reconfigure(self.settings)
        self.approved.models = self.settings.models
        self.operator.load()
        for watcher in self.watchers.values():
            watcher.reconfigure(self.settings, judge_settings(self.settings, watcher.found.name))
        log.info("config.reloaded", needs_restart=fixed)
        return fixed

    def close(self) -> None:
        """Keep what was learned; the probes and containments stay."""
        self.control.close()
        self.operator.close()
        self.symbols.close()
        if (recording := self.tap.stop()) is not None:
            recording.wait()
        self.hands.close()
        self.fitter.close()
        self.devices.close()
        self.approved.close()
        self.cuda.close()
        self.artifacts.close()
        self.inputs.close()
        self.save()
        if self.shipper is not None:
            self.shipper.stop()
        self.store.close()
        self.sensor.close()
        log.info("agent.stopped")

    def save(self, *, due: bool = False) -> None:
        """Write every baseline, or those that are due."""
        every = (watcher.judge.baseline for watcher in self.watchers.values())
        self.baselines.save_all(every, self.losses, due=due)

    def _on_records(self) -> int:
        taken = 0
        for _ in range(MAX_BATCHES):
            batch = self.sensor.ring.peek()
            if not len(batch):
                break
            taken += len(batch)
            self.router.take(batch)
            self.sensor.ring.advance()
        wanted = self.router.unwatched_exec or self.strangers.wait
        if wanted and self.looks.affordable:
            self.scan()
        return taken

    def _knows(self, sighting: Sighting) -> bool:
        watcher = self.watchers.get(self.registry.name_of(sighting.workload) or "")
        return watcher is None or watcher.knows(sighting, self.membership.role_of)

    def _on_scan(self, _now_ns: int) -> None:
        self.scan()

    def scan(self) -> None:
        """Look for workloads, and watch the new ones."""
        self.router.unwatched_exec, looked_s = False, time.monotonic()
        with self.looks.look() as table:
            self.registry.refresh(table, never=(os.getpid(), os.getppid()))
        for found in self.registry.workloads.values():
            if found.name not in self.watchers:
                self._watch(found, table)
            elif found.restarted:
                # Its first records come before its first window: they are judged as a start, too.
                self.watchers[found.name].judge.phase = Phase.STARTUP
                self.reflexes.suspend(self.watchers[found.name])
        self._look_at_images(table)
        self._look_at_makeup(table)
        self._look_for_drivers(table)
        self.router.met(looked_s)

    def _look_for_drivers(self, table: ProcessTable) -> None:
        """Find whose processes map the GPU driver's library; a mapping of one is told, too."""
        users: dict[int, list[int]] = {}
        for found in self.registry.workloads.values():
            mine = (process for pid in found.pids if (process := table.get(pid)) is not None)
            pids = [one.pid for one in mine if self.cuda.maps_driver(one)]
            if pids:
                users[found.id] = pids
        self.cuda.look(users)

    def _look_at_images(self, table: ProcessTable) -> None:
        for found in self.registry.workloads.values():
            watcher, member = self.watchers[found.name], partial(self._member, found.id)
            seen = watcher.images.look(table, found.pids, member, time.monotonic_ns())
            if seen:
                watcher.see(seen, self.membership.role_of)

    def _comparing(self) -> Approved:
        """Compare what is served with what was approved."""
        return Approved(
            self.settings.paths.state,
            self.settings.models,
            self._not_approved,
            self.artifacts.digested,
            Protecting.of(self.sensor),
        )

    def _on_gpu(self, now_ns: int) -> None:
        self.devices.tick(now_ns)
        found = self.registry.workloads.values()
        told = self.gpu_signals.look(self.devices.last, found, self._member, now_ns)
        for name, sighting in told:
            self.watchers[name].see([sighting], self.membership.role_of)

    def _not_approved(self, finding: Finding) -> None:
        """Have the loop judge what a thread found."""
        self.loop.post(partial(self._judge_finding, finding))

    def _judge_finding(self, finding: Finding) -> None:
        watcher = self.watchers.get(finding.workload)
        if watcher is None:
            return
        number, role = self._member(watcher.found.id, finding.pid)
        seen = finding.sighting(number, role, time.monotonic_ns())
        watcher.see([seen], self.membership.role_of)

    def _look_at_makeup(self, table: ProcessTable) -> None:
        for found in self.registry.workloads.values():
            watcher = self.watchers[found.name]
            root = next(filter(None, map(table.get, found.roots)), None)
            before = watcher.judge.baseline.state
            if root is not None and watcher.compare(root):
                self._changed_state(watcher, before)

    def _member(self, number: int, pid: int) -> tuple[int, int]:
        return self.membership.read().get(pid, (number, 0))

    def _watch(self, found: Found, table: ProcessTable) -> None:
        baseline = self.baselines.load(found.name)
        judge = Judge(
            judge_settings(self.settings, found.name),
            baseline,
            partial(self.fitter.fit, found.name),
            shipped_prior(),
        )
        origin = Origin(self.settings.host, found.name, found.engine, self.offset_ns)
        self.lineage.learn_table(table, found.pids)
        processes = list(filter(None, map(table.get, found.pids)))
        self.strangers.holdings.adopt(processes, found.id)
        self.artifacts.adopt(processes, found.name)
        self.approved.adopt(processes, found.name)
        self.watchers[found.name] = Watcher(
            found, judge, self.settings, self.hands, self.lineage, origin, self.tell,
            self._window_start_ns, self.tap, Catcher(self.symbols), familiar=self.registry.familiar,
        )  # fmt: skip
        # The ring may still hold what was answered while no agent ran.
        self.watchers[found.name].release((), self.containments.released_ns(found.name))
        if begins(found):
            judge.phase = Phase.STARTUP
        if baseline.state is BaselineState.LEARNING:
            self.begin_learning(self.watchers[found.name], table)
        self.watchers[found.name].weights |= weights_of(processes)
        log.info("workload.found", workload=found.name, engine=found.engine, pids=len(found.pids))

    def begin_learning(self, watcher: Watcher, table: ProcessTable) -> None:
        """Have everything told from the beginning, and tell what was there before."""
        found = watcher.found
        self.seen.forget_workload(found.id)
        processes = filter(None, map(table.get, sorted(found.pids)))
        member, now_ns = partial(self._member, found.id), time.monotonic_ns()
        watcher.see(held_before(processes, member, now_ns), self.membership.role_of)

    def _on_window(self, now_ns: int) -> None:
        self._on_records()
        counts = self.counters.read(self.registry.highest)
        self.health.account(counts)
        span_ns = (self._window_start_ns, now_ns)
        length_s = (now_ns - self._window_start_ns) / 1e9
        self.accounts.count(counts, length_s, self.settings.window.length_s)
        self.selftest.count(counts, self.sensor.schema)
        self.router.tell_crowds(now_ns)
        common = self.accounts.since_last()
        for name, watcher in self.watchers.items():
            found = self.registry.workloads.get(name)
            if found is None or not (found.pids or watcher.items):
                watcher.start_ns = now_ns
                continue
            self._close(watcher, found, counts, span_ns, common)
            self.seen.forget(watcher.fresh)
            watcher.fresh.clear()
        self.inputs.look(length_s)
        self.counters.keep()
        if not self.hands.busy:
            self.router.judged()
        self.sensor.let_go_before(told=True)
        self._window_start_ns = now_ns
        self.tap.tick(now_ns)

    def _close(
        self,
        watcher: Watcher,
        found: Found,
        counts: Counts,
        span_ns: tuple[int, int],
        common: Mapping[str, int],
    ) -> None:
        """Build and judge one workload's window; one that cannot be judged is counted."""
        self.accounts.due += 1
        before = watcher.judge.baseline.state
        try:
            now_ns, length_s = span_ns[1], (span_ns[1] - span_ns[0]) / 1e9
            readings = (
                watcher.memory.read(found.pids, now_ns)
                | watcher.cgroup.read(found.pids, now_ns)
                | self.devices.readings(found.pids)
                | self.devices.calls.readings(counts, found.id, length_s)
                | self.cuda.readings(counts, found.id, length_s)
            )
            window = self.windows.build(found, counts, span_ns, readings, watcher.items)
            losses = Counter(self.windows.losses(counts, found.id)) + Counter(common)
            weights_bytes = sum(watcher.weights.values())
            window = replace(window, lost=losses.total(), weights_bytes=weights_bytes)
            watcher.close(replace(window, phase=watcher.phase_of(window)), dict(losses))
        except Exception as error:  # noqa: BLE001 - one window must not end the agent
            self.accounts.lost["window"] += 1
            watcher.items = []
            watcher.start_ns = span_ns[1]
            log.error(
                "window.failed", workload=found.name, error=f"{type(error).__name__}: {error}"
            )
            return
        self.accounts.judged += 1
        self.inputs.modes.follow(found.id, watcher.judge.baseline.state)
        if watcher.judge.baseline.state is not before:
            self._changed_state(watcher, before)

    def _changed_state(self, watcher: Watcher, before: BaselineState) -> None:
        baseline, name = watcher.judge.baseline, watcher.found.name
        log.info("baseline.state", workload=name, before=before, now=baseline.state)
        if baseline.state is BaselineState.SHADOW:
            baseline.made_of = dict(watcher.made_of)
        elif baseline.state is BaselineState.GUARDING and before is BaselineState.SHADOW:
            baseline.learned_unix_ns = time.time_ns()
        self.tap.noted(name, baseline)
        self.baselines.save(baseline)

    def _on_health(self, now_ns: int) -> None:
        self.health.check(now_ns)
        notify("WATCHDOG=1")

    def tell(self, verdict: dict[str, Any]) -> None:
        """Keep a verdict, and ship it."""
        self.store.append_verdict(verdict)
        if self.shipper is not None:
            self.shipper.offer(verdict)
        log.info("verdict.told", id=verdict["id"], workload=verdict["workload"],
                 grade=verdict["level"], action=verdict["response"]["action"])  # fmt: skip


def _preserve(
    in_force: Callable[[], Settings], switch: PinnedSwitch | None, one: Containment
) -> None:
    """Collect evidence about a containment; in a thread, so over a database handle of its own."""
    paths, bounds = in_force().paths, Bounds(memory=in_force().response.evidence_memory)
    with Store.open(paths.state / "events.db") as store:
        subject = find(one.id, store, [one], paths.run, switch)
        done = collect(subject, store, paths.state, bounds)
    log.info("evidence.collected", id=one.id, bundle=done.sealed.path, bytes=done.sealed.bytes)


def _rule_directories(settings: Settings) -> list[Any]:
    return [settings.paths.workloads] if settings.paths.workloads.is_dir() else []
