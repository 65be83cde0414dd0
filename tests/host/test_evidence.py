"""Bundles about processes that really run, stop, die and resist."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from agent.evidence import Bounds, collect
from agent.evidence.gather import gather
from agent.evidence.pieces import Piece
from agent.evidence.subject import Subject, find
from agent.response.containment import ProcessId
from agent.response.processes import children, held, read_process
from agent.store import Store

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

BRIEF: Final = Bounds()
WAITS: Final = "print('ready', flush=True); import time; time.sleep(60)"

Start = Callable[..., ProcessId]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def begin(*command: str | Path, **facts: Any) -> ProcessId:  # noqa: ANN401 - Popen's
        process = subprocess.Popen(command, stdout=subprocess.PIPE, **facts)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        found = read_process(process.pid)
        assert found is not None
        return found.id

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def pieces(*processes: ProcessId, bounds: Bounds = BRIEF) -> dict[str, Piece]:
    return {piece.name: piece for piece in gather(processes, bounds)}


def about(*processes: ProcessId) -> Subject:
    return Subject("subject", "w", time.time_ns(), None, None, processes)


def unpacked(path: Path, into: Path) -> Path:
    into.mkdir()
    subprocess.run(["tar", "xf", path, "-C", into], check=True)
    return into


def test_a_bundle_is_in_the_log_with_its_digest(start: Start, tmp_path: Path) -> None:
    process = start(sys.executable, "-c", WAITS)
    with Store.open(tmp_path / "events.db") as store:
        before = store.head()
        done = collect(about(process), store, tmp_path, BRIEF)
        assert store.chain_verify().whole
        assert store.chain_verify().entries == 1
    root = unpacked(done.sealed.path, tmp_path / "x")
    manifest = (root / "manifest.json").read_bytes()
    assert json.loads(manifest)["log_head"] == before
    record = (tmp_path / "events.db").read_bytes()
    assert hashlib.sha256(manifest).hexdigest().encode() in record
    assert hashlib.sha256(done.sealed.path.read_bytes()).hexdigest().encode() in record


def test_a_bundle_holds_each_thing_that_was_promised_and_the_digest_of_all(
    start: Start, tmp_path: Path
) -> None:
    code = "import socket, tempfile; s = socket.create_server(('127.0.0.1', 0)); "
    code += "f = tempfile.TemporaryFile(); f.write(b'x'); f.flush(); "
    process = start(sys.executable, "-c", code + WAITS)
    at = f"processes/{process.pid}"
    records = [{"item": "/bin/sh", "time_ns": 1}]
    verdict = {
        "id": "01A", "workload": "w", "level": "high", "time_ns": time.time_ns(),
        "process": {"pid": process.pid}, "novel": [], "records": records,
    }  # fmt: skip
    with Store.open(tmp_path / "events.db") as store:
        store.append_verdict(verdict)
        subject = Subject("01A", "w", time.time_ns(), verdict, None, (process,))
        done = collect(subject, store, tmp_path, Bounds(memory=("[stack]",)))
    assert done.sealed.path.name.endswith(".tar.zst" if shutil.which("zstd") else ".tar.gz")
    root = unpacked(done.sealed.path, tmp_path / "x")
    for name in (
        "verdict.json", "around.json", "tree.json", f"{at}/maps", f"{at}/status",
        f"{at}/descriptors.json", f"{at}/sockets.json", f"{at}/environ.json",
        f"{at}/cmdline.json", f"{at}/threads.json", f"{at}/files.json", f"{at}/memory.json",
    ):  # fmt: skip
        assert (root / name).stat().st_size > 2, name
    assert json.loads((root / "verdict.json").read_text())["records"] == records
    rows = json.loads((root / "tree.json").read_text())
    assert [row["pid"] for row in rows if row["of_the_workload"]] == [process.pid]
    assert os.getpid() in {row["pid"] for row in rows}
    assert len(list((root / at / "unnamed").iterdir())) >= 1
    members = json.loads((root / "manifest.json").read_text())["members"]
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert {member["name"] for member in members} == found - {"manifest.json"}
    for member in members:
        content = (root / member["name"]).read_bytes()
        assert member["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_frozen_process_shows_everything(start: Start) -> None:
    process = start(
        sys.executable, "-c", "import socket; s = socket.create_server(('127.0.0.1', 0)); " + WAITS
    )
    os.kill(process.pid, signal.SIGSTOP)
    while not held(process.pid):
        time.sleep(0.01)
    found = pieces(process)
    at = f"processes/{process.pid}"
    assert b"State:\tT" in found[f"{at}/status"].content
    assert b"[stack]" in found[f"{at}/maps"].content
    assert json.loads(found[f"{at}/sockets.json"].content)["tcp"]
    files = json.loads(found[f"{at}/files.json"].content)
    assert (
        files[0]["sha256"]
        == hashlib.sha256(Path(sys.executable).resolve().read_bytes()).hexdigest()
    )
    assert len({(file["device"], file["inode"]) for file in files}) == len(files) > 1
    assert not [piece.name for piece in found.values() if piece.note]


def test_secrets_of_the_environment_are_masked(start: Start) -> None:
    process = start(sys.executable, "-c", WAITS, env={"HF_TOKEN": "swordfish", "LANG": "C"})
    found = pieces(process)
    environment = found[f"processes/{process.pid}/environ.json"].content
    assert dict(json.loads(environment))["LANG"] == "C"
    assert not [piece.name for piece in found.values() if b"swordfish" in piece.content]


def test_an_open_file_without_a_name_is_copied_within_the_bound(start: Start) -> None:
    code = "import os, tempfile; f = tempfile.TemporaryFile(); f.write(b'x' * 5000); f.flush(); "
    code += "m = os.memfd_create('payload'); os.write(m, b'y' * 50); "
    process = start(sys.executable, "-c", code + WAITS)
    found = pieces(process, bounds=Bounds(copy_bytes=1000))
    copies = {p.content: p.note for name, p in found.items() if "/unnamed/" in name}
    assert copies[b"x" * 1000] == "only its beginning is copied"
    assert copies[b"y" * 50] == ""


CODE: Final = """
import mmap
any_access = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
page = mmap.mmap(-1, 8192, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, any_access)
page[:9] = b"injected!"
"""


def test_memory_is_taken_of_chosen_mappings_alone_and_only_if_asked_for(start: Start) -> None:
    process = start(sys.executable, "-c", CODE + WAITS)
    os.kill(process.pid, signal.SIGSTOP)
    assert not [name for name in pieces(process) if "/memory" in name]
    found = pieces(process, bounds=Bounds(memory=("[anon-code]", "*/nothing-like-it")))
    taken = {name: piece for name, piece in found.items() if "/memory/" in name}
    assert [p.content[:9] for p in taken.values()].count(b"injected!") == 1
    rows = json.loads(found[f"processes/{process.pid}/memory.json"].content)
    assert {(row["mapping"], "x" in row["permissions"]) for row in rows} == {("[anon]", True)}
    assert all(re.fullmatch(r"processes/\d+/memory/[\da-f]+-[\da-f]+", name) for name in taken)
    assert not [piece.name for piece in taken.values() if piece.note]


def test_memory_is_taken_within_its_bound_and_what_is_left_out_is_said(start: Start) -> None:
    process = start(sys.executable, "-c", CODE + WAITS)
    found = pieces(process, bounds=Bounds(memory=("[stack]", "[heap]"), memory_bytes=5000))
    taken = [piece for name, piece in found.items() if "/memory/" in name]
    assert len(taken) == 2
    assert sum(len(piece.content) for piece in taken) == 5000
    assert all(piece.note.endswith("bytes are left out") for piece in taken)


def test_a_later_process_of_the_same_number_is_not_read(start: Start) -> None:
    process = start(sys.executable, "-c", WAITS)
    earlier = ProcessId(process.pid, process.start_ticks - 1)
    assert list(pieces(earlier)) == [f"processes/{process.pid}/gone"]


def test_a_process_that_exits_in_the_middle_leaves_what_it_had(start: Start) -> None:
    process, other = (start(sys.executable, "-c", WAITS) for _ in range(2))
    reading = gather([process, other], BRIEF)
    first = next(reading)
    os.kill(process.pid, signal.SIGKILL)
    rest = [piece.name for piece in reading]
    assert first.content
    assert f"processes/{other.pid}/files.json" in rest


def test_no_name_of_the_process_becomes_a_name_in_the_bundle(start: Start, tmp_path: Path) -> None:
    hostile = tmp_path / "..\n\udcff\x1b[2J"
    hostile.mkdir()
    program = hostile / ".._manifest.json\\\n"
    shutil.copy(shutil.which("sh") or "", program)
    process = start(
        program, "-c", "exec 7>odd\xff; rm odd*; echo ready; kill -STOP $$",
        cwd=hostile,
    )  # fmt: skip
    found = pieces(process)
    assert all(re.fullmatch(r"processes/\d+/(unnamed/)?[a-z\d.-]+", name) for name in found)
    files = json.loads(found[f"processes/{process.pid}/files.json"].content)
    assert files[0]["path"] == str(program)
    assert f"processes/{process.pid}/unnamed/fd-7" in found


def test_a_huge_environment_is_cut(start: Start) -> None:
    environment = {f"PART_{number}": "a/" * 50_000 for number in range(12)}
    process = start(sys.executable, "-c", WAITS, env=environment)
    bounds = Bounds(text_bytes=100_000)
    piece = pieces(process, bounds=bounds)[f"processes/{process.pid}/environ.json"]
    assert piece.note == "cut short"
    assert len(piece.content) < 110_000


def test_a_reader_that_says_no_more_is_killed_and_the_next_process_read(start: Start) -> None:
    silent, other = (start(sys.executable, "-c", WAITS) for _ in range(2))
    reading = gather([silent, other], Bounds(silence_s=3))
    first = next(reading)
    for child in children(os.getpid()):
        if b"agent.evidence.reader" in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(child, signal.SIGSTOP)
    found = {piece.name: piece for piece in (first, *reading)}
    assert f"processes/{other.pid}/files.json" in found
    assert (f"processes/{silent.pid}/files.json" in found) != (
        f"processes/{silent.pid}/not-read" in found
    )


def test_a_verdict_leads_to_its_process_but_not_to_a_younger_one(
    start: Start, tmp_path: Path
) -> None:
    process = start(sys.executable, "-c", WAITS)
    verdict = {"workload": "w", "level": "high", "process": {"pid": process.pid}, "novel": []}
    with Store.open(tmp_path / "events.db") as store:
        store.append_verdict(verdict | {"id": "01A", "time_ns": time.time_ns() + 2_000_000_000})
        store.append_verdict(verdict | {"id": "01B", "time_ns": time.time_ns() - 60_000_000_000})
        assert find("01A", store, (), tmp_path, None).processes == (process,)
        assert find("01B", store, (), tmp_path, None).processes == ()
