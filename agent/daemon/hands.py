"""Acts on verdicts beside the loop: one thread, so that one act ends before the next begins."""

from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from agent.config.schema import Settings
from agent.errors import AgentError
from agent.log import log
from agent.response.breaker import Breaker
from agent.response.containment import Containment, Step, Target
from agent.response.containments import Containments
from agent.response.limits import clients_cut, upload_limits
from agent.response.policy import Decision
from agent.response.rehearsal import Rehearsal

_MS: Final = 1_000_000
_WHO: Final = "agent"

Preserve = Callable[[Containment], None]
"""Collects what a held workload's processes show; takes its time."""


class ReleasedError(AgentError):
    """{0} was given back while evidence was collected: it was not killed."""


class EndedError(AgentError):
    """Who was stopped has ended since: nothing is to be given back."""


@dataclass(slots=True)
class Action:
    """A step under way or done.

    Attributes:
        since_ns: Kernel time of what caused it, CLOCK_MONOTONIC: where its latency counts from.
        future: The containment, once the step is taken.
    """

    decision: Decision
    since_ns: int
    verdict: str
    future: "Future[Containment]"
    then: list[Callable[[], None]] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """The `response` part of a verdict."""
        plain: dict[str, Any] = {
            "action": self.decision.step.label,
            "wanted": self.decision.wanted.label,
            "reason": self.decision.reason,
        }
        if not self.future.done():
            return plain | {"state": "pending", "containment": "", "undo": ""}
        error = self.future.exception()
        if error is not None:
            plain |= {"state": "failed", "containment": "", "undo": "", "reason": str(error)}
            return plain
        done = self.future.result()
        ended = done.held_ns or max(done.times.values(), default=self.since_ns)
        return plain | {
            "state": "done",
            "containment": done.id,
            "undo": done.undo,
            "latency_ms": round((ended - self.since_ns) / _MS, 3),
            "frozen_ms": None
            if done.held_ns is None
            else round((done.held_ns - self.since_ns) / _MS, 3),
            "how": done.how,
            "held": [process.pid for process in done.processes],
            "still_running": [process.pid for process in done.running],
            "times": dict(done.times),
        }


@dataclass(slots=True)
class Rehearsed:
    """A step that is shown and not taken; see `Action`."""

    decision: Decision
    verdict: str
    future: "Future[Rehearsal]"
    then: list[Callable[[], None]] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """The `response` part of a verdict."""
        plain: dict[str, Any] = {
            "action": self.decision.step.label,
            "state": "would",
            "containment": "",
            "undo": "",
            "wanted": self.decision.wanted.label,
            "reason": self.decision.reason or "a dry run: nothing was done",
        }
        if not self.future.done():
            return plain
        error = self.future.exception()
        if error is not None:
            return plain | {"reason": str(error)}
        return plain | {"would": self.future.result().as_json()}

    def finish(self) -> None:
        """Run what waits for it; in the loop."""
        for act in self.then:
            act()


def unanswered(decision: Decision) -> dict[str, Any]:
    """The `response` part of a verdict that only tells."""
    return {
        "action": decision.step.label,
        "state": "done",
        "containment": "",
        "undo": "",
        "wanted": decision.wanted.label,
        "reason": decision.reason,
    }


class Hands:
    """Takes steps through the journal, one after the other.

    Args:
        post: Runs something in the loop; what waits for a step is told there.
        preserve: What comes before a kill, where the configuration asks for it; None: nothing.
    """

    def __init__(
        self,
        settings: Settings,
        containments: Containments,
        post: Callable[[Callable[[], None]], None],
        preserve: Preserve | None = None,
    ) -> None:
        """Start the threads: evidence has one of its own, so that no step waits for it."""
        self.containments = containments
        self.reconfigure(settings)
        self.live: tuple[Containment, ...] = tuple(containments.live())
        self.breaker_open = containments.breaker_open()
        self._post = post
        self._pending: dict[int, Step] = {}
        self._listing = 0
        self._preserve = preserve
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="hands")
        self._evidence = ThreadPoolExecutor(1, thread_name_prefix="evidence")

    def reconfigure(self, settings: Settings) -> None:
        """Contain for another span, and as often as allowed, from now on."""
        self._settings, bounds = settings, settings.response
        self.containments.bound(Breaker(bounds.breaker_count, bounds.breaker_minutes * 60))
        self._for_s = settings.response.contain_for_s
        self._preserves = settings.response.evidence_before_kill

    @property
    def busy(self) -> bool:
        """Whether a step is under way, and the verdict that waits for it is not told yet."""
        return bool(self._pending or self._listing)

    def standing(self, workload_id: int) -> Step:
        """The highest step in force or under way; answers at once."""
        live = (one.step for one in self.live if one.target.workload_id == workload_id)
        return max(*live, self._pending.get(workload_id, Step.OBSERVE), Step.OBSERVE)

    def sent(self, one: Containment) -> dict[str, Any]:
        """What a limited workload has sent against its budgets, by class of peer."""
        found = self.containments.sent(one)
        return {name: asdict(sent) for name, sent in found.items()}

    def begin(
        self, target: Target, decision: Decision, since_ns: int, verdict: str, summary: str
    ) -> Action:
        """Take a step soon; returns at once."""
        self._pending[target.workload_id] = decision.step
        reason = f"verdict {verdict}: {summary}"
        if decision.step is Step.KILL and self._preserve is not None and self._preserves:
            held = self._worker.submit(self._contain, target, Step.FREEZE, reason)
            future = self._evidence.submit(self._preserve_then_kill, held, target, reason)
        else:
            future = self._worker.submit(self._contain, target, decision.step, reason)
        action = Action(decision, since_ns, verdict, future)
        future.add_done_callback(lambda _: self._post(lambda: self._done(target, action)))
        return action

    def stopped(self, target: Target, since_ns: int, verdict: str, summary: str) -> Action:
        """List soon whom the kernel stopped by itself; returns at once."""
        self._listing += 1
        reason = f"verdict {verdict}: {summary}"
        future = self._worker.submit(self._note_stops, target, reason)
        action = Action(Decision(Step.REFLEX, Step.REFLEX, ""), since_ns, verdict, future)
        future.add_done_callback(lambda _: self._post(lambda: self._listed(action)))
        return action

    def _listed(self, action: Action) -> None:
        self._listing -= 1
        for act in action.then:
            act()

    def _note_stops(self, target: Target, reason: str) -> Containment:
        try:
            names = {target.workload_id: target.workload}
            for one in self.containments.note_stops(names, self._for_s, reason):
                if one.target.workload_id == target.workload_id:
                    return one
        except AgentError as error:
            log.error("response.failed", workload=target.workload, step="reflex", why=error)
            raise
        finally:
            self._look()
        raise EndedError

    def rehearse(self, target: Target, decision: Decision, verdict: str) -> Rehearsed:
        """Find out soon what a step would do; returns at once."""
        future = self._worker.submit(self.containments.rehearse, target, decision.step)
        rehearsed = Rehearsed(decision, verdict, future)
        future.add_done_callback(lambda _: self._post(rehearsed.finish))
        return rehearsed

    def _done(self, target: Target, action: Action) -> None:
        self._pending.pop(target.workload_id, None)
        for act in action.then:
            act()

    def _preserve_then_kill(
        self, held: "Future[Containment]", target: Target, reason: str
    ) -> Containment:
        """Killed all the same when nothing could be collected; not when somebody gave it back.

        A daemon that ends in between leaves the workload frozen, with the way back.
        """
        one, preserve = held.result(), self._preserve
        assert preserve is not None  # noqa: S101 - `begin` asked
        try:
            preserve(one)
        except (AgentError, OSError) as error:
            log.error("evidence.failed", workload=target.workload, id=one.id, why=error)
        try:
            return self._worker.submit(self._kill, one, target, reason).result()
        except (CancelledError, RuntimeError) as error:  # the agent stops
            raise ReleasedError(target.workload) from error

    def _kill(self, held: Containment, target: Target, reason: str) -> Containment:
        if held.id not in {one.id for one in self.containments.live()}:
            raise ReleasedError(target.workload)
        return self._contain(target, Step.KILL, reason)

    def _contain(self, target: Target, step: Step, reason: str) -> Containment:
        try:
            return self.containments.contain(
                target,
                step,
                self._for_s,
                reason,
                _WHO,
                upload_bytes=upload_limits(self._settings, target.workload),
                cut_clients=clients_cut(self._settings, target.workload),
            )
        except AgentError as error:
            log.error("response.failed", workload=target.workload, step=step.label, why=error)
            raise
        finally:
            self._look()

    def submit(self, act: Callable[[], Any]) -> "Future[Any]":
        """Run an operator's act in turn with the agent's own."""
        return self._worker.submit(self._then_look, act)

    def tick(self, now_ns: int) -> None:
        """Release what has expired, and see what others did; in the thread."""
        self._worker.submit(self._expire, now_ns)

    def _expire(self, now_ns: int) -> None:
        try:
            for ended in self.containments.expire(now_ns):
                log.info("containment.expired", id=ended.id, workload=ended.target.workload)
            self._look()
        except AgentError as error:
            log.error("response.failed", workload="", step="expire", why=error)

    def _then_look(self, act: Callable[[], Any]) -> Any:  # noqa: ANN401 - what act returns
        try:
            return act()
        finally:
            self._look()

    def _look(self) -> None:
        self.live = tuple(self.containments.live())
        self.breaker_open = self.containments.breaker_open()

    def close(self) -> None:
        """Wait for the step under way; a workload held for evidence stays held."""
        self._worker.shutdown(wait=True)
        self._evidence.shutdown(wait=False, cancel_futures=True)
