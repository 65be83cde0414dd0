"""Is what workloads open still what was approved? Asked at each first open, and every second.

One thread looks, by stat alone; another waits for the program that reads. What they find becomes
something new that the workload did, so that it is judged, told and acted on as all else is.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

from agent.config.schema import Models
from agent.daemon.model_findings import Finding, Writers
from agent.daemon.protecting import Protecting, words
from agent.daemon.readers import Answer, Reading
from agent.log import log
from agent.models.approvals import Approval, Approvals, UnreadError
from agent.models.signing import public_path
from agent.models.verify import Deviation
from collectors.models.artifacts import PICKLES, held, is_artifact, is_weights
from collectors.models.digests import FileState
from collectors.processes import Process
from collectors.sightings import Sighting
from detectors.rules.models import MARKS, PROTECTED, UNAPPROVED, WITH_CODE

LOOK_S: Final = 1.0
"""Between two looks at what is in use: sooner than most servers load what they are asked to."""

SHARE: Final = 0.002
"""Of one core, for such looks: of ten thousand files each takes 30 ms, and the next waits."""

INDEX_S: Final = 5.0
"""Between two looks at approved directories that nobody uses, while files are opened."""

MOST_WAITING: Final = 1_000
MOST_USED: Final = 4_096
"""Opens remembered: what is approved while it is served is compared from then on."""

_USES: Final = frozenset({"file", "model"})
_SCANNED: Final = PICKLES | {".npy", ".npz", ".h5", ".keras", ".hdf5", ".nemo", ".mar"}


Tell = Callable[[Finding], None]
Known = Callable[[FileState, str], None]


class Approved:
    """One per daemon; `see`, `adopt`, `tick` are for the loop, the rest runs in its threads.

    Attributes:
        reading: Reads what is not known yet.
        lost: Opens for which there was no room.
    """

    def __init__(
        self, state: Path, models: Models, tell: Tell, known: Known, protecting: Protecting
    ) -> None:
        """Look at nothing yet.

        Args:
            state: The state directory.
            models: The configuration's table.
            tell: Called in a thread of this object's with what is wrong.
            known: The same with each digest.
            protecting: Keeps what is approved.
        """
        self.models = models
        self.reading = Reading()
        self.lost = 0
        self._tell, self._known, self._protecting = tell, known, protecting
        keys = (public_path(state / "keys" / "models.key"), *models.keys)
        self._approvals = Approvals(state, keys)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="approved")
        self._waiting: set[Future[None]] = set()
        self._look: Future[None] | None = None
        self._next_s = self._index_s = 0.0
        self._writers = Writers()
        self._used: OrderedDict[tuple[str, str, str], int] = OrderedDict()
        self._pids: dict[tuple[str, str], int] = {}
        self._scanned: set[tuple[str, FileState]] = set()

    def see(self, sightings: Iterable[Sighting], workload: str, exe: Callable[[int], str]) -> None:
        """Take in what a workload, or a stranger to it, just did; `exe` names programs."""
        for one in sightings:
            if one.kind == "write" or "written" in one.marks:
                who = f"{one.exe or exe(one.pid) or one.comm} (process {one.pid})"
                self._submit(self._writers.note, one.host_path or one.item, who)
            elif one.kind in _USES and "listed" not in one.marks and is_artifact(one.item):
                self._submit(self._opened, workload, one.item, one.host_path, one.pid)

    def adopt(self, processes: Iterable[Process], workload: str) -> None:
        """Take in what processes hold that ran before us."""
        for process in processes:
            for one in held(process):
                self._submit(self._opened, workload, one.path, "", process.pid)

    def tick(self, _now_ns: int) -> None:
        """Look at what is in use, unless a look is under way or was dear."""
        if time.monotonic() >= self._next_s and (self._look is None or self._look.done()):
            self._look = self._thread.submit(self._look_at_all)

    def status(self) -> dict[str, Any]:
        """What `agent status` shows."""
        roots = list(self._approvals.roots.values())
        wrong = [f"{one.root}/{name}" for one in roots for name in list(one.wrong)]
        return {
            "approved": len(roots),
            "in_use": sum(bool(one.users) for one in roots),
            "read_bytes": self.reading.read_bytes,
            "files_read": self.reading.answered,
            "files_waiting": self.reading.pending,
            "not_as_approved": sorted(wrong + list(map(str, self._approvals.forged))),
            "protected": self._protecting.kept,
            "changes_denied": self._protecting.denied,
            "not_read": dict(self.reading.reasons),
            "lost": self.lost,
        }

    def close(self) -> None:
        """Wait for what is being looked at; what is being read is given up."""
        self.reading.close()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _submit(self, act: Callable[..., None], *arguments: object) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self.lost += 1
            return
        future = self._thread.submit(self._guarded, act, *arguments)
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)

    def _guarded(self, act: Callable[..., None], *arguments: object) -> None:
        try:
            act(*arguments)
        except OSError as error:  # of a process or file that went: the next look sees it
            log.once("models.not_read", why=error)

    def _look_at_all(self) -> None:
        began_s = time.thread_time()
        self._guarded(self._manifests)
        for approval in list(self._approvals.roots.values()):
            if approval.users:
                self._guarded(self._changes, approval)
        self._guarded(self._protect)
        self._next_s = time.monotonic() + max(LOOK_S, (time.thread_time() - began_s) / SHARE) - 0.1

    def _manifests(self) -> None:
        before = set(self._approvals.roots)
        forged = self._approvals.refresh()
        if not self._approvals.roots.keys() <= before:
            for (workload, item, host_path), pid in list(self._used.items()):
                self._guarded(self._look_up, workload, item, host_path, pid)
        for path in forged:
            log.error("models.forged", why=self._approvals.forged[path])
            users = {user for one in self._approvals.roots.values() for user in one.users}
            for user in users:
                why = self._approvals.forged[path]
                self._tell(Finding(user, str(path), MARKS["forged"], why, 0))

    def _protect(self) -> None:
        self._protecting.keep(self._approvals.roots.values(), self.models.publishers)
        for refusal in self._protecting.refused():
            found = self._approvals.find_file(refusal.file)
            if found is None:
                continue
            approval, name = found
            for user in sorted(approval.users):
                path, pid = str(approval.root / name), self._pids.get((str(approval.root), user), 0)
                self._tell(Finding(user, path, PROTECTED, words(refusal), pid))

    def _changes(self, approval: Approval) -> None:
        for name in approval.changed():
            self._check(approval, name)

    def _opened(self, workload: str, item: str, host_path: str, pid: int) -> None:
        self._used[workload, item, host_path] = pid
        self._used.move_to_end((workload, item, host_path))
        while len(self._used) > MOST_USED:
            self._used.popitem(last=False)
        self._look_up(workload, item, host_path, pid)

    def _look_up(self, workload: str, item: str, host_path: str, pid: int) -> None:
        there = Path(f"/proc/{pid}/root{item}")
        found = self._of_file(there) or self._of_path(host_path or item, pid)
        if found is None:
            if host_path:
                self._covered(workload, item, there, pid)
            self._of_nobody(workload, item, there, pid)
            return
        approval, name = found
        self._pids[str(approval.root), workload] = pid
        if workload not in approval.users:
            approval.used_by(workload)
        self._check(approval, name)  # before its neighbours: it is what will be used
        self._changes(approval)

    def _of_file(self, there: Path) -> tuple[Approval, str] | None:
        """By what a process really opened, through its own root and mounts."""
        try:
            here = there.stat()
        except OSError:
            return None  # it or its process is gone
        if not self._approvals.roots:
            self._approvals.refresh()
        number = here.st_dev, here.st_ino
        found = self._approvals.find_file(number)
        if found is None and time.monotonic() >= self._index_s:
            self._index_s = time.monotonic() + INDEX_S
            self._approvals.refresh()
            self._approvals.index()
            found = self._approvals.find_file(number)
        return found

    def _of_path(self, path: str, pid: int) -> tuple[Approval, str] | None:
        """By name, where the process means the same by it as we do."""
        return self._approvals.find(path) if _same_root(pid) else None

    def _covered(self, workload: str, item: str, there: Path, pid: int) -> None:
        """Tell of an approved name under which a process sees another file than the host does."""
        found = self._of_path(item, pid)
        if found is None:
            return
        approval, name = found
        here, seen = (approval.root / name).stat(), there.stat()
        if name in approval.entries and (here.st_dev, here.st_ino) != (seen.st_dev, seen.st_ino):
            why = f"it sees {there.resolve()} there"
            self._tell(Finding(workload, item, MARKS["mounted"], why, pid))

    def _of_nobody(self, workload: str, item: str, there: Path, pid: int) -> None:
        """Look at what lies in no approved directory: is that allowed, and does it carry code?"""
        suffix = Path(item).suffix.lower()
        if not is_weights(item):
            return
        if self.models.require_approval:
            why = "it is not signed, and its format carries code" if suffix in PICKLES else ""
            self._tell(Finding(workload, item, UNAPPROVED, why, pid))
        state = FileState.of(there.stat())
        if (workload, state) in self._scanned:
            return
        self._scanned.add((workload, state))
        if self.models.scan and suffix in _SCANNED:
            self.reading.ask("code", there, partial(self._scan_done, workload, item, pid))
        if self.models.digest and state not in self._approvals.digests.known:
            self.reading.ask("digest", there, partial(self._submit, self._take_digest))

    def _scan_done(self, workload: str, item: str, pid: int, found: Answer) -> None:
        for danger in found.get("dangers", ())[:1]:
            self._tell(Finding(workload, item, WITH_CODE, str(danger), pid))

    def _check(self, approval: Approval, name: str) -> None:
        try:
            found = approval.check(name, self._approvals.digests)
        except UnreadError as error:
            if name not in approval.unread:
                approval.unread.add(name)
                done = partial(self._submit, self._digested, approval, name)
                self.reading.ask("digest", error.path, done)
            return
        before = approval.wrong.pop(name, ())
        if found:
            approval.wrong[name] = found
        for one in found:
            if one not in before:
                self._deviates(approval, one)

    def _digested(self, approval: Approval, name: str, answer: Answer) -> None:
        approval.unread.discard(name)
        if problem := answer.get("problem"):
            self._deviates(approval, Deviation(name, "unreadable", str(problem)))
            approval.again(name)
            return
        self._take_digest(answer)
        self._check(approval, name)

    def _take_digest(self, answer: Answer) -> None:
        if "sha256" in answer:
            state, sha256 = FileState(*answer["state"]), str(answer["sha256"])
            self._approvals.digests.known[state] = sha256
            self._known(state, sha256)

    def _deviates(self, approval: Approval, one: Deviation) -> None:
        path = str(approval.root / one.path)
        why = f"{one.words}; {self._writers.words(path)}"
        for user in sorted(approval.users):
            pid = self._pids.get((str(approval.root), user), 0)
            self._tell(Finding(user, path, MARKS[one.what], why, pid))


def _same_root(pid: int) -> bool:
    """Whether a path means to this process what it means to us; of one that is gone, nobody knows.

    Its mounts may still differ: that is what is looked for.
    """
    try:
        there, here = Path(f"/proc/{pid}/root").stat(), Path("/").stat()
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
