"""What workloads open is compared with what was approved; the loop never waits for that."""

import os
import pickle
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from agent.config.schema import Models
from agent.daemon.approved import Approved
from agent.daemon.model_findings import Finding
from agent.daemon.protecting import Protecting
from agent.models.inventory import inventory
from agent.models.manifest import approve, default_path
from agent.models.signing import Signer
from collectors.models.digests import DigestCache
from collectors.sightings import Sighting
from probes.protect import FILE, Protection, Refusal

LIMIT_S = 20.0
HEADER = b"\2\0\0\0\0\0\0\0{}"


class Shell:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    root.mkdir()
    (root / "a.safetensors").write_bytes(HEADER)
    (root / "b.safetensors").write_bytes(HEADER)
    state = tmp_path / "state"
    entries = inventory(root, DigestCache())
    key = Signer.load_or_make(state / "keys" / "models.key")
    approve(root, entries, key, default_path(state, root))
    return root


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[Approved, list[Finding]]]]:
    made: list[Approved] = []

    def begin(
        protecting: Protecting | None = None,
        **settings: Any,  # noqa: ANN401 - of the table
    ) -> tuple[Approved, list[Finding]]:
        told: list[Finding] = []
        made.append(
            Approved(
                tmp_path / "state",
                Models(**settings),
                told.append,
                lambda _state, _sha256: None,
                protecting or Protecting(None),
            )
        )
        return made[0], told

    yield begin
    for one in made:
        one.close()


def sighting(path: Path, kind: str = "file", **more: Any) -> Sighting:  # noqa: ANN401 - its fields
    return Sighting(
        kind=kind, item=str(path), workload=1, role=0, time_ns=1, pid=os.getpid(), ppid=1, uid=0,
        start_ns=1, cgroup=1, comm="python", **more,
    )  # fmt: skip


def opened(approved: Approved, path: Path, workload: str = "server") -> None:
    approved.see([sighting(path)], workload, lambda _: "")


def until(approved: Approved, done: Callable[[], object]) -> None:
    give_up = time.monotonic() + LIMIT_S
    while not done():
        assert time.monotonic() < give_up, approved.status()
        approved.tick(0)
        time.sleep(0.02)


def test_all_of_a_directory_is_read_when_one_file_of_it_is_opened(
    start: Callable[..., tuple[Approved, list[Finding]]], model: Path
) -> None:
    approved, told = start()
    opened(approved, model / "a.safetensors")
    until(approved, lambda: approved.reading.answered == 2)
    assert approved.status()["read_bytes"] == 2 * len(HEADER)
    assert approved.status()["in_use"] == 1
    assert told == []


def test_a_change_after_that_is_told_to_each_workload_with_who_wrote_it(
    start: Callable[..., tuple[Approved, list[Finding]]], model: Path
) -> None:
    approved, told = start()
    opened(approved, model / "a.safetensors")
    opened(approved, model / "b.safetensors", "other")
    until(approved, lambda: approved.reading.answered == 2 and not approved.reading.pending)
    path = model / "b.safetensors"
    approved.see([sighting(path, "write")], "server", lambda _: "/usr/bin/writer")
    path.write_bytes(HEADER[:-1] + b"]")
    until(approved, lambda: len(told) == 2)
    assert {one.workload for one in told} == {"server", "other"}
    assert {(one.path, one.mark) for one in told} == {(str(path), "model-changed")}
    assert f"last written by /usr/bin/writer (process {os.getpid()})" in told[0].words
    assert approved.status()["not_as_approved"] == [str(path)]


def test_what_is_approved_while_it_is_served_is_compared_from_then_on(
    start: Callable[..., tuple[Approved, list[Finding]]], tmp_path: Path
) -> None:
    late, state = tmp_path / "late", tmp_path / "state"
    late.mkdir()
    (late / "a.safetensors").write_bytes(HEADER)
    approved, told = start()
    opened(approved, late / "a.safetensors")
    until(approved, lambda: approved.reading.answered == 1)
    key = Signer.load_or_make(state / "keys" / "models.key")
    approve(late, inventory(late, DigestCache()), key, default_path(state, late))
    until(approved, lambda: approved.status()["in_use"] == 1)
    (late / "a.safetensors").write_bytes(HEADER[:-1] + b"]")
    until(approved, lambda: told)
    assert [one.mark for one in told] == ["model-changed"]


def test_a_file_that_nobody_approved_is_looked_at_for_code(
    start: Callable[..., tuple[Approved, list[Finding]]], tmp_path: Path
) -> None:
    approved, told = start()
    for name, value in (("plain", {"a": 1}), ("evil", Shell())):
        (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(value))
        opened(approved, tmp_path / f"{name}.pkl")
    until(approved, lambda: told and approved.reading.answered == 4)
    assert [(one.path, one.mark) for one in told] == [
        (str(tmp_path / "evil.pkl"), "model-with-code")
    ]


def test_unapproved_weights_are_told_only_where_the_configuration_asks_for_approval(
    start: Callable[..., tuple[Approved, list[Finding]]], tmp_path: Path
) -> None:
    approved, told = start(require_approval=True)
    (tmp_path / "x.safetensors").write_bytes(HEADER)
    opened(approved, tmp_path / "x.safetensors")
    until(approved, lambda: told)
    assert [one.mark for one in told] == ["model-unapproved"]
    approved.models = Models()
    opened(approved, tmp_path / "x.safetensors")
    approved.close()
    assert len(told) == 1


class Denying:
    """Stands for the kernel's lists in the tier `guard`, which tests/vm/guest/protect.py tries."""

    def __init__(self) -> None:
        self.files: dict[tuple[int, int], str] = {}
        self.publishers: tuple[str, ...] = ()
        self.denied: list[Refusal] = []

    def keep(self, files: dict[tuple[int, int], str], publishers: tuple[str, ...]) -> int:
        self.files, self.publishers = files, publishers
        return 0

    def refused(self) -> list[Refusal]:
        found, self.denied = self.denied, []
        return found


def test_what_is_approved_is_kept_where_publishers_are_named_and_who_was_denied_is_told(
    start: Callable[..., tuple[Approved, list[Finding]]], model: Path
) -> None:
    kernel = Denying()
    protecting = Protecting(cast("Protection", kernel))
    approved, told = start(protecting, publishers=("/usr/bin/rsync",))
    opened(approved, model / "a.safetensors")
    until(approved, lambda: approved.status()["protected"] == 3)
    weights = (model / "b.safetensors").stat()
    number = (weights.st_dev, weights.st_ino)
    assert kernel.files[number] == FILE
    assert kernel.publishers == ("/usr/bin/rsync",)
    kernel.denied.append(Refusal(number, 1, 2, os.getpid(), "python"))
    until(approved, lambda: told)
    assert [(one.mark, one.path) for one in told] == [
        ("model-protected", str(model / "b.safetensors"))
    ]
    assert f"(process {os.getpid()}), 2 times" in told[0].words
    assert approved.status()["changes_denied"] == 2


def test_nothing_is_kept_where_no_publisher_is_named(
    start: Callable[..., tuple[Approved, list[Finding]]], model: Path
) -> None:
    kernel = Denying()
    approved, _ = start(Protecting(cast("Protection", kernel)))
    opened(approved, model / "a.safetensors")
    until(approved, lambda: approved.reading.answered == 2)
    approved.tick(0)
    approved.close()
    assert kernel.files == {}
