"""What the control socket asks of the daemon; each handler asks the loop in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.daemon.makeup import EXECUTABLE
from agent.daemon.membership import UNKNOWN_CHILD
from agent.daemon.registry import Watch
from agent.errors import AgentError, NotReadyError, UnknownError
from agent.log import log
from agent.response.containment import Step
from agent.seal import unseal
from detectors.assessment import BaselineState
from detectors.baseline import Baseline, difference
from detectors.errors import BaselineCorruptError
from detectors.window import Item, ItemKind

if TYPE_CHECKING:
    from agent.daemon.daemon import Daemon
    from agent.daemon.watcher import Watcher

Arguments = Mapping[str, Any]


class Handlers:
    """Bound to one daemon."""

    def __init__(self, daemon: Daemon) -> None:
        """Answer nothing yet."""
        self._daemon = daemon

    def table(self) -> dict[str, Callable[[Arguments], object]]:
        """Handlers by operation."""
        in_loop = {
            "status": self.status,
            "workloads": self.workloads,
            "watch": self.watch,
            "unwatch": self.unwatch,
            "baseline_list": self.baseline_list,
            "baseline_show": self.baseline_show,
            "baseline_learn": self.baseline_learn,
            "baseline_diff": self.baseline_diff,
            "baseline_approve": self.baseline_approve,
            "baseline_export": self.baseline_export,
            "baseline_import": self.baseline_import,
            "baseline_forget": self.baseline_forget,
            "reload": lambda _: self._daemon.reload(),
            "record_start": self.record_start,
        }
        asked = {op: self._in_loop(handler) for op, handler in in_loop.items()}
        return asked | {
            "contain": self.contain,
            "release": self.release,
            "record_stop": self.record_stop,
            "doctor_live": lambda _: self._daemon.selftest.run(),
        }

    def _in_loop(self, handler: Callable[[Arguments], object]) -> Callable[[Arguments], object]:
        return lambda arguments: self._daemon.loop.ask(lambda: handler(arguments))

    def status(self, _arguments: Arguments) -> dict[str, Any]:
        """Everything `agent status` shows."""
        return self._daemon.status.answer()

    def workloads(self, _arguments: Arguments) -> list[dict[str, Any]]:
        """What is watched, and why."""
        return [
            {
                "name": found.name,
                "engine": found.engine,
                "why": list(found.why),
                "roots": list(found.roots),
                "pids": sorted(found.pids),
                "ports": sorted(found.ports),
                "roles": self._roles(found.id),
            }
            for found in self._daemon.registry.workloads.values()
        ]

    def _roles(self, number: int) -> dict[str, list[int]]:
        roles: dict[str, list[int]] = {}
        for pid, (workload, role) in self._daemon.membership.read().items():
            if workload == number:
                roles.setdefault(self._daemon.membership.role_of(role), []).append(pid)
        return roles

    def watch(self, arguments: Arguments) -> dict[str, Any]:
        """Begin to watch a pid, a unit or a cgroup."""
        name = str(arguments["name"])
        match = {k: arguments[k] for k in ("pid", "unit", "cgroup") if arguments.get(k)}
        if name in self._daemon.registry.workloads and name not in self._daemon.registry.watches:
            raise AgentError(f"A workload called {name} is recognised already; choose another name")
        self._daemon.registry.watch(Watch(name, match))
        self._daemon.scan()
        found = self._daemon.registry.workloads.get(name)
        if found is None or not found.pids:
            if name in self._daemon.registry.watches:
                self._daemon.registry.unwatch(name)
            raise UnknownError("process, unit or cgroup", next(iter(match.values()), name))
        return {"name": name, "pids": sorted(found.pids)}

    def unwatch(self, arguments: Arguments) -> dict[str, Any]:
        """Let a workload go that `watch` began with."""
        found = self._daemon.registry.unwatch(str(arguments["name"]))
        watcher = self._daemon.watchers.pop(found.name, None)
        if watcher is not None:
            self._daemon.baselines.save(watcher.judge.baseline)
        return {"name": found.name}

    def contain(self, arguments: Arguments) -> dict[str, Any]:
        """An operator's step, in turn with the agent's own."""
        watcher = self._watcher(str(arguments["target"]))
        step = Step.from_label(str(arguments["level"]))
        for_s = float(arguments["for_s"]) if arguments.get("for_s") else None
        reason, force = str(arguments["reason"]), bool(arguments.get("force"))
        who = str(arguments.get("who") or "operator")
        limits = {str(name): int(value) for name, value in arguments.get("upload", {}).items()}
        cut = bool(arguments.get("cut_clients"))
        containments = self._daemon.containments
        job = self._daemon.hands.submit(
            lambda: containments.contain(
                watcher.target(), step, for_s, reason, who, force=force, upload_bytes=limits,
                cut_clients=cut,
            )
        )  # fmt: skip
        return dict(job.result(30.0).as_json())

    def release(self, arguments: Arguments) -> list[dict[str, Any]]:
        """Give back one containment, or all."""
        hands, containments = self._daemon.hands, self._daemon.containments
        everything = bool(arguments.get("all"))
        name = "" if everything else str(arguments["id"])
        # Before it runs again: what it does then is weighed as done after the release.
        expected = {one.target.workload for one in hands.live if everything or one.id == name}
        self._daemon.loop.ask(lambda: self._acknowledge(expected))
        if everything:
            job = hands.submit(containments.release_all)
        else:
            job = hands.submit(lambda: [containments.release(name)])
        released = job.result(30.0)
        others = {one.target.workload for one in released} - expected
        self._daemon.loop.ask(lambda: self._acknowledge(others))
        return [dict(one.as_json()) for one in released]

    def _acknowledge(self, names: set[str]) -> None:
        members = self._daemon.membership
        for name in names & set(self._daemon.watchers):
            watcher = self._daemon.watchers[name]
            children = [
                pid
                for pid, (number, role) in members.read().items()
                if number == watcher.found.id and members.role_of(role) == UNKNOWN_CHILD
            ]
            watcher.release(children, time.monotonic_ns())

    def baseline_list(self, _arguments: Arguments) -> list[dict[str, Any]]:
        """One line per workload."""
        return [
            {
                "workload": name,
                "state": watcher.judge.baseline.state.value,
                "windows": watcher.judge.baseline.windows,
                "coverage": watcher.judge.baseline.summary().get("coverage"),
                "reason": watcher.judge.baseline.reason,
                "file": str(self._daemon.baselines.path(name)),
            }
            for name, watcher in self._daemon.watchers.items()
        ]

    def baseline_show(self, arguments: Arguments) -> dict[str, Any]:
        """What was learned, as plain values."""
        return self._watcher(str(arguments["workload"])).judge.baseline.page()

    def baseline_learn(self, arguments: Arguments) -> dict[str, Any]:
        """Begin anew."""
        watcher = self._watcher(str(arguments["workload"]))
        self._replace(watcher, Baseline(watcher.found.name))
        return {"workload": watcher.found.name}

    def baseline_diff(self, arguments: Arguments) -> dict[str, Any]:
        """What differs from an exported baseline; without one, what verdicts called new."""
        watcher = self._watcher(str(arguments["workload"]))
        if arguments.get("other") is None:
            waiting = self._daemon.store.verdicts(workload=watcher.found.name)
            novel = [item for verdict in waiting for item in verdict["novel"]]
            return {"waiting": novel}
        other = _baseline(unseal(bytes(arguments["other"])).content)
        only_here, only_there = difference(other, watcher.judge.baseline)
        return {
            "only_here": [list(x) for x in only_here],
            "only_there": [list(x) for x in only_there],
        }

    def baseline_approve(self, arguments: Arguments) -> dict[str, Any]:
        """Take items in as normal, or what runs now as what was learned."""
        watcher = self._watcher(str(arguments["workload"]))
        if arguments.get("changed"):
            return self._keep(watcher)
        wanted = set(arguments.get("items") or ())
        if arguments.get("verdict"):
            told = [self._daemon.store.verdict(str(arguments["verdict"]))]
        else:
            told = self._daemon.store.verdicts(workload=watcher.found.name)
        chosen = [
            _item(novel)
            for verdict in told
            for novel in verdict["novel"]
            if arguments.get("verdict") or novel["item"] in wanted
        ]
        missing = wanted - {item.item for item in chosen}
        if missing:
            raise UnknownError("new item", ", ".join(sorted(missing)))
        count = watcher.approve(chosen)
        self._daemon.baselines.save(watcher.judge.baseline)
        log.info("baseline.approved", workload=watcher.found.name, items=count)
        return {"workload": watcher.found.name, "approved": count}

    def _keep(self, watcher: Watcher) -> dict[str, Any]:
        if not watcher.keep():
            raise UnknownError("changed executable or model of", watcher.found.name)
        self._daemon.baselines.save(watcher.judge.baseline)
        log.info("baseline.approved", workload=watcher.found.name, items=0)
        return {"workload": watcher.found.name, "approved": 0, "changed": True}

    def baseline_export(self, arguments: Arguments) -> bytes:
        """The baseline's bytes."""
        watcher = self._watcher(str(arguments["workload"]))
        if watcher.judge.baseline.state is BaselineState.LEARNING:
            raise NotReadyError(f"The baseline of {watcher.found.name}", "it is still learning")
        return self._daemon.baselines.sealed(watcher.judge.baseline)

    def baseline_import(self, arguments: Arguments) -> dict[str, Any]:
        """Use a baseline from elsewhere."""
        watcher = self._watcher(str(arguments["workload"]))
        opened = unseal(bytes(arguments["content"]))
        wanted = arguments.get("key")
        if wanted and opened.key != bytes(wanted):
            who = opened.signer or "nobody"
            raise AgentError(f"That baseline is signed by {who}, not by the key you gave")
        baseline = _baseline(opened.content)
        baseline.workload = watcher.found.name  # a replica may go by another name
        # Another host's files have other times; another build of the program is another one.
        baseline.made_of = {k: v for k, v in baseline.made_of.items() if k == EXECUTABLE}
        self._replace(watcher, baseline)
        own = opened.key == self._daemon.baselines.signer.public
        signer = opened.signer or None
        return {"workload": watcher.found.name, "signed_by": signer, "signed_here": own}

    def baseline_forget(self, arguments: Arguments) -> dict[str, Any]:
        """Delete what was learned."""
        name = str(arguments["workload"])
        watcher = self._daemon.watchers.get(name)
        if watcher is not None:
            self._replace(watcher, Baseline(name))
        self._daemon.inputs.forget(name)
        self._daemon.baselines.forget(name)
        return {"workload": name}

    def record_start(self, arguments: Arguments) -> dict[str, Any]:
        """Begin to record what the judges are given."""
        path, for_s = Path(str(arguments["path"])), float(arguments["for_s"])
        self._daemon.tap.start(path, for_s, self._daemon.watchers.values())
        return {"file": str(path), "for_s": for_s}

    def record_stop(self, _arguments: Arguments) -> dict[str, Any]:
        """End a recording, if its time has not; tell what became of it."""
        tap = self._daemon.tap
        recording = self._daemon.loop.ask(tap.stop)
        if recording is None:
            raise UnknownError("recording", "now")
        return dict(recording.wait().as_json())

    def _replace(self, watcher: Watcher, baseline: Baseline) -> None:
        watcher.replace_baseline(baseline)
        self._daemon.inputs.forget(watcher.found.name)
        if baseline.state is BaselineState.LEARNING:
            with self._daemon.looks.look() as table:
                self._daemon.begin_learning(watcher, table)
        else:
            self._daemon.seen.forget_workload(watcher.found.id)
        self._daemon.baselines.save(baseline)
        log.info("baseline.replaced", workload=watcher.found.name, state=baseline.state)

    def _watcher(self, name: str) -> Watcher:
        try:
            return self._daemon.watchers[name]
        except KeyError:
            raise UnknownError("workload", name) from None


def _item(novel: Mapping[str, Any]) -> Item:
    return Item(
        ItemKind(novel["kind"]),
        novel["item"],
        novel["role"],
        novel["time_ns"],
        novel["pid"],
        novel["exe"],
        frozenset(novel.get("marks", ())),  # absent in verdicts of older agents
        other=novel.get("other", ""),
        host_path=novel.get("host_path", ""),
    )


def _baseline(content: Any) -> Baseline:  # noqa: ANN401 - bytes from a client
    try:
        return Baseline.from_bytes(bytes(content))
    except (BaselineCorruptError, TypeError) as error:
        raise AgentError(f"That is no baseline: {error}") from error
