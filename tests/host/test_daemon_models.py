"""A guarded server's approved models: whatever is done to them is told, whoever does it."""

import hashlib
import json
import os
import pickle
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.daemons import Daemon, Server, Verdict, wait_for

pytestmark = pytest.mark.timeout(150)

READ = "answer = len(open(home / {!r}, 'rb').read())"


class Shell:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


@pytest.fixture(scope="module")
def scene() -> Iterator[tuple[Daemon, Server, Path]]:
    """A daemon, and a server that read from a directory which was approved before."""
    daemon = Daemon()
    server = Server(daemon.at / "served")
    model = server.home / "model"
    model.mkdir(parents=True)
    for name in ("w1", "w2", "w3"):
        (model / f"{name}.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    (model / "blob").write_bytes(bytes(4096))
    (model / "linked.gguf").symlink_to("blob")
    (model / "config.json").write_text("{}")
    try:
        daemon.configure(server.rule("alert")).start()
        assert daemon.command("models", "trust", str(model), "--force").returncode == 0
        server.start()
        wait_for(lambda: daemon.workload(server.name))
        assert server.do(READ.format("model/w1.safetensors")) == 10
        wait_for(lambda: daemon.status()["models"]["files_read"] >= 6)
        yield daemon, server, model
    finally:
        server.stop()
        daemon.close()


def found(daemon: Daemon, server: Server, path: Path, mark: str) -> Verdict:
    """Wait for the verdict about one file."""

    def look() -> Verdict:
        for verdict in daemon.verdicts(server.name):
            for novel in verdict["novel"]:
                if novel["item"] == str(path) and mark in novel["marks"]:
                    return verdict | {"it": novel}
        return {}

    return wait_for(look)


def test_what_is_as_approved_is_no_verdict(scene: tuple[Daemon, Server, Path]) -> None:
    daemon, server, _ = scene
    time.sleep(2.0)
    told = [n for v in daemon.verdicts(server.name) for n in v["novel"]]
    assert not [n for n in told if any(mark.startswith("model-") for mark in n["marks"])]
    assert daemon.status()["models"]["not_as_approved"] == []


def test_content_changed_in_place_is_critical_and_names_who_opened_it_to_write(
    scene: tuple[Daemon, Server, Path],
) -> None:
    daemon, server, model = scene
    weights = model / "w1.safetensors"
    subprocess.run(
        ["/usr/bin/dd", f"of={weights}", "conv=notrunc", "bs=1", "seek=8", "count=1"],
        input=b"[",
        check=True,
        capture_output=True,
    )
    verdict = found(daemon, server, weights, "model-changed")
    assert verdict["level"] == "critical"
    assert "AML.T0018.000" in verdict["techniques"]
    assert "sha256 was" in verdict["it"]["other"]


def test_a_link_led_elsewhere_and_a_file_put_in_its_place_are_critical(
    scene: tuple[Daemon, Server, Path],
) -> None:
    daemon, server, model = scene
    (model.parent / "other").write_bytes(bytes(4096))
    (model / "linked.gguf").unlink()
    (model / "linked.gguf").symlink_to("../other")
    assert found(daemon, server, model / "linked.gguf", "model-swapped")["level"] == "critical"
    (model.parent / "new").write_bytes(b"\2\0\0\0\0\0\0\0[]")
    (model.parent / "new").rename(model / "w3.safetensors")
    assert found(daemon, server, model / "w3.safetensors", "model-changed")["level"] == "critical"


def test_a_file_that_was_not_approved_is_high_and_a_lock_beside_it_nothing(
    scene: tuple[Daemon, Server, Path],
) -> None:
    daemon, server, model = scene
    (model / ".lock").touch()
    (model / "modeling.py").write_text("")
    verdict = found(daemon, server, model / "modeling.py", "model-unlisted")
    assert verdict["it"]["level"] == "high"
    assert str(model / ".lock") not in str(daemon.verdicts(server.name))


def test_another_file_mounted_over_it_is_critical(scene: tuple[Daemon, Server, Path]) -> None:
    daemon, server, model = scene
    other = model.parent / "cover"
    other.write_bytes(b"\2\0\0\0\0\0\0\0()")
    subprocess.run(["mount", "--bind", other, model / "config.json"], check=True)
    try:
        verdict = found(daemon, server, model / "config.json", "model-covered")
    finally:
        subprocess.run(["umount", model / "config.json"], check=True)
    assert verdict["level"] == "critical"


def test_a_pickle_with_code_in_it_is_told_when_it_is_opened(
    scene: tuple[Daemon, Server, Path],
) -> None:
    daemon, server, _ = scene
    path = server.home / "model.pkl"
    path.write_bytes(pickle.dumps(Shell()))
    server.do(READ.format("model.pkl"))
    verdict = found(daemon, server, path, "model-with-code")
    assert verdict["it"]["level"] == "high"
    assert "system" in verdict["it"]["other"]


def test_what_is_put_back_is_as_approved_again(scene: tuple[Daemon, Server, Path]) -> None:
    daemon, _, model = scene
    weights = model / "w1.safetensors"
    weights.write_bytes(b"\2\0\0\0\0\0\0\0{}")
    wait_for(lambda: str(weights) not in daemon.status()["models"]["not_as_approved"])


def test_the_ledger_knows_what_was_opened_and_what_it_held(
    scene: tuple[Daemon, Server, Path],
) -> None:
    daemon, server, _ = scene
    path = server.home / "plain.onnx"
    path.write_bytes(bytes(5000))
    server.do(READ.format("plain.onnx"))

    def look() -> list[dict[str, object]]:
        done = daemon.command("models", "history", str(path), "--json")
        return [use for use in json.loads(done.stdout or "[]") if use["sha256"]]

    (use,) = wait_for(look)
    assert use["sha256"] == hashlib.sha256(bytes(5000)).hexdigest()
    here = path.stat()
    told = (use["size_bytes"], use["inode"], use["device"], use["format"], use["access"])
    assert told == (5000, here.st_ino, here.st_dev, "onnx", "read")
    assert Path(str(use["exe"])).name.startswith("python")
