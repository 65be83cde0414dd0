"""A workload's page and bill of materials, from a fake host laid out as files."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from agent.models.bom import bom
from agent.models.census import Member, Page, census
from agent.models.ledger import Ledger
from agent.models.workload_pages import pages
from collectors.engines import Rulebook
from collectors.engines.posture import Weakness
from collectors.models.digests import DigestCache
from collectors.processes import snapshot

ANSWER = {
    "name": "triton-8000",
    "engine": "triton",
    "why": ["the executable is tritonserver (60)"],
    "pids": [100, 999],
    "ports": [8000],
    "roles": {"engine": [100]},
}
SITE = "/v/site-packages"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "models" / "m").mkdir(parents=True)
    (root / "models" / "m" / "model.onnx").write_bytes(b"weights")
    (root / "models" / "m" / "config.json").write_text("{}")
    (root / "v/site-packages/tritonserver-2.50.0.dist-info").mkdir(parents=True)
    process = tmp_path / "proc" / "100"
    (process / "fd").mkdir(parents=True)
    (process / "stat").write_text("100 (tritonserver) S 1 " + "1 " * 20 + "250 0\n")
    (process / "status").write_text("Uid:\t1000\t1000\t1000\t1000\n")
    (process / "cmdline").write_bytes(b"tritonserver\0--model-repository=/models\0")
    (process / "cgroup").write_text("0::/\n")
    maps = [f"{SITE}/tritonserver/libtritonserver.so", "/usr/lib/libcuda.so.535.261.03"]
    (process / "maps").write_text(
        "".join(f"7f{n}000-7f{n}fff r-xp 0 fe:00 {n + 5} {path}\n" for n, path in enumerate(maps))
    )
    (process / "exe").symlink_to("/opt/tritonserver/bin/tritonserver")
    (process / "root").symlink_to(root)
    (process / "fd" / "3").symlink_to("/dev/nvidia-uvm")
    return tmp_path / "proc"


def found(proc: Path, state: Path, cache: DigestCache | None = None) -> Sequence[Page]:
    return census([ANSWER], snapshot(str(proc)), Rulebook.load(), state, cache)


def test_a_page_holds_what_the_workload_is_made_of(proc: Path, tmp_path: Path) -> None:
    (page,) = found(proc, tmp_path)
    assert page.version == "2.50.0"
    assert page.devices == ("/dev/nvidia-uvm",)
    assert page.drivers == (("libcuda", "535.261.03"),)
    assert [(model.path, model.how, model.size_bytes) for model in page.models] == [
        ("/models/m/config.json", "named", 2),
        ("/models/m/model.onnx", "named", 7),
    ]
    assert [one.finding for one in page.weaknesses] == ["unapproved-weights"]


def test_what_the_ledger_saw_earlier_belongs_to_it(proc: Path, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        for path in ("/models/m/model.onnx", "/models/old.onnx"):
            ledger.note(path=path, access="read", time_ns=1, workload="triton-8000", pid=1)
        ledger.note(path="/other.onnx", access="read", time_ns=1, workload="x", pid=1)
    (page,) = found(proc, tmp_path)
    seen = {model.path: model.how for model in page.models}
    assert seen["/models/old.onnx"] == "seen"
    assert seen["/models/m/model.onnx"] == "named"
    assert "/other.onnx" not in seen


def test_a_page_is_written_for_people(proc: Path, tmp_path: Path) -> None:
    text = pages(found(proc, tmp_path), colour=False)
    assert "triton-8000: triton 2.50.0" in text
    assert "  because the executable is tritonserver (60)" in text
    assert "has mapped tritonserver 2.50.0, libcuda 535.261.03; 0 more" in text
    assert "To do: agent models scan /models/m" in text


def test_the_roles_are_a_tree_of_who_started_whom(proc: Path, tmp_path: Path) -> None:
    (page,) = found(proc, tmp_path)
    assert page.members == (Member(100, 0, "engine", "tritonserver"),)
    tree = (
        Member(100, 0, "main", "python3"),
        Member(101, 100, "engine", "tritonserver"),
        Member(102, 101, "stub", "stub"),
        Member(105, 101, "stub", "stub"),
        Member(103, 102, "worker", "python3"),
        Member(104, 100, "helper", "python3"),
        Member(300, 0, "helper", "sh"),
    )
    text = pages([replace(page, members=tree)], colour=False)
    assert text.splitlines()[2:9] == [
        "  main: 100 (python3)",
        "    engine: 101 (tritonserver)",
        "      stub: 102 (stub)",
        "        worker: 103 (python3)",
        "      stub: 105 (stub)",
        "    helper: 104 (python3)",
        "  helper: 300 (sh)",
    ]


def test_names_that_do_not_print_are_codes_on_the_page(proc: Path, tmp_path: Path) -> None:
    (page,) = found(proc, tmp_path)
    evil = "x\x1b[2J\ny"
    weakness = Weakness("shared-memory", "warning", "why", f"/dev/shm/{evil}", f"chmod {evil}")
    hostile = replace(
        page,
        members=(Member(100, 0, "main", evil),),
        devices=(evil,),
        weaknesses=(weakness,),
        ports=(8000,),
    )
    text = pages([hostile], colour=False)
    assert "\x1b" not in text
    assert text.count("x\\x1b[2J\\ny") == 4


def test_many_of_one_role_are_one_line(proc: Path, tmp_path: Path) -> None:
    (page,) = found(proc, tmp_path)
    workers = tuple(Member(200 + n, 100, "worker", "python3") for n in range(3))
    text = pages([replace(page, members=(*page.members, *workers))], colour=False)
    assert "    worker: 200, 201, 202 (python3)\n" in text


def test_nothing_recognised_says_what_to_do() -> None:
    assert "agent watch" in pages([], colour=False)


def test_a_bill_of_materials_names_every_part_once(proc: Path, tmp_path: Path) -> None:
    document = bom(found(proc, tmp_path, DigestCache()), "h1", 1_800_000_000_000_000_000)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    references = [part["bom-ref"] for part in document["components"]]
    assert len(references) == len(set(references))
    kinds = {part["name"]: part["type"] for part in document["components"]}
    assert kinds == {
        "triton": "application",
        "model.onnx": "machine-learning-model",
        "config.json": "machine-learning-model",
        "tritonserver": "library",
        "libcuda": "library",
        "/dev/nvidia-uvm": "device",
    }
    (model,) = [part for part in document["components"] if part["name"] == "model.onnx"]
    assert model["hashes"][0]["content"].startswith("9a129038")
    depending = {entry["ref"]: entry["dependsOn"] for entry in document["dependencies"]}
    assert depending["host:h1"] == ["workload:triton-8000"]
    assert sorted(depending["workload:triton-8000"]) == sorted(references[1:])
