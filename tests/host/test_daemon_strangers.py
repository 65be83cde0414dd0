"""Somebody outside opens a guarded server's weights or shared memory: who it was is told."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.daemons import Daemon, Server, Verdict, grave, rank, wait_for

pytestmark = pytest.mark.timeout(150)

HIGH = 3
LOAD = """
import mmap
file = os.open(str(home / 'model.gguf'), os.O_RDONLY)
answer = len(mmap.mmap(file, 0, prot=mmap.PROT_READ))
"""
SHARE = """
shared = os.open('/dev/shm/' + home.parent.name, os.O_RDWR | os.O_CREAT)
os.write(shared, b'region')
answer = shared
"""


def read(program: str, path: Path) -> int:
    """Have a program outside read a file; when it began, CLOCK_MONOTONIC."""
    since_ns = time.monotonic_ns()
    subprocess.run([program, path], check=True, stdout=subprocess.DEVNULL)
    return since_ns


@pytest.fixture(scope="module")
def scene() -> Iterator[tuple[Daemon, Server]]:
    """A guarding daemon; its server mapped a model, and a backup program read it meanwhile."""
    daemon = Daemon()
    server = Server(daemon.at / "served")
    backup = daemon.at / "backup"
    shared = Path("/dev/shm") / daemon.at.name
    shutil.copy("/usr/bin/head", backup)
    try:
        daemon.configure(server.rule("freeze")).start()
        server.start()
        (server.home / "model.gguf").write_bytes(bytes(8192))
        wait_for(lambda: daemon.workload(server.name))
        assert server.do(LOAD) == 8192
        server.do(SHARE)
        time.sleep(0.5)
        read(str(backup), server.home / "model.gguf")
        read(str(backup), shared)
        wait_for(lambda: daemon.workload(server.name).get("state") == "guarding", 90.0)
        yield daemon, server
    finally:
        server.stop()
        daemon.close()
        shared.unlink(missing_ok=True)


def novel(verdict: Verdict, path: Path) -> dict[str, str]:
    return next(n for n in verdict["novel"] if n["item"] == str(path))


def test_weights_that_were_mapped_while_learning_are_known(scene: tuple[Daemon, Server]) -> None:
    daemon, server = scene
    shown = daemon.json("baseline", "show", server.name)
    assert shown["roles"]["main"]["model"] == 1
    assert server.do(LOAD) == 8192
    assert grave(daemon.verdicts()) == []


def test_a_backup_program_that_was_learned_stays_quiet(scene: tuple[Daemon, Server]) -> None:
    daemon, server = scene
    since_ns = read(str(daemon.at / "backup"), server.home / "model.gguf")
    time.sleep(4.0)
    told = [v for v in daemon.verdicts(server.name) if v["time_ns"] >= since_ns]
    assert not any(n["item"].endswith("model.gguf") for v in told for n in v["novel"])


@pytest.mark.parametrize("name", ["model.gguf", "weights"])
def test_cat_at_the_weights_is_high_named_and_holds_nobody(
    scene: tuple[Daemon, Server], name: str
) -> None:
    daemon, server = scene
    since_ns = read("/bin/cat", server.home / name)
    verdict = daemon.told(server.name, str(server.home / name), since_ns)
    item = novel(verdict, server.home / name)
    assert (item["kind"], item["level"]) == ("model", "high")
    assert item["exe"].endswith("/cat")
    assert verdict["process"]["exe"].endswith("/cat")
    assert "/cat (pid " in verdict["summary"]
    assert "AML.T0035" in verdict["techniques"]
    assert rank(verdict) == HIGH
    assert daemon.live(server.name) == []
    assert server.answers()


def test_a_stranger_that_comes_again_is_told_again(scene: tuple[Daemon, Server]) -> None:
    daemon, server = scene
    path = server.home / "model.gguf"
    for _ in range(2):
        since_ns = read("/usr/bin/md5sum", path)
        assert novel(daemon.told(server.name, str(path), since_ns), path)["exe"].endswith("md5sum")
        time.sleep(1.0)


def test_a_stranger_that_reads_much_of_a_model_is_critical(scene: tuple[Daemon, Server]) -> None:
    daemon, server = scene
    path = server.home / "model.gguf"
    script = f"exec 3<{path}; dd bs=4096 count=1 <&3 of=/dev/null status=none; sleep 6"
    since_ns = time.monotonic_ns()
    with subprocess.Popen(["/bin/dash", "-c", script]) as reader:

        def told() -> Verdict:
            for verdict in daemon.verdicts(server.name):
                mine = [n for n in verdict["novel"] if n["pid"] == reader.pid]
                if any(n["level"] == "critical" and n["time_ns"] >= since_ns for n in mine):
                    return verdict
            return {}

        verdict = wait_for(told)
        reader.kill()
    assert f"read 50 % (4,096 of 8,192 bytes) of {path}" in verdict["summary"]
    assert daemon.live(server.name) == []


def test_a_stranger_at_shared_memory_is_high(scene: tuple[Daemon, Server]) -> None:
    daemon, server = scene
    shared = Path("/dev/shm") / daemon.at.name
    since_ns = read("/bin/cat", shared)
    item = novel(daemon.told(server.name, str(shared), since_ns), shared)
    assert (item["kind"], item["level"]) == ("file", "high")


def test_the_same_server_started_anew_is_no_stranger(scene: tuple[Daemon, Server]) -> None:
    daemon, server = scene
    before = len(grave(daemon.verdicts()))
    server.stop()
    server.start()
    time.sleep(4.0)
    assert len(grave(daemon.verdicts())) == before


def test_the_ledger_names_who_read_a_model(scene: tuple[Daemon, Server]) -> None:
    daemon, server = scene
    path = server.home / "model.gguf"
    uses = wait_for(lambda: daemon.json("models", "history", str(path)))
    assert {(u["access"], u["workload"]) for u in uses} >= {("map", server.name), ("read", "")}
    assert any(u["exe"].endswith("/cat") for u in uses)
