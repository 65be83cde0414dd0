"""The ledger remembers who used a model file, once for each way."""

from pathlib import Path

import pytest

from agent.models.ledger import Ledger, NeverSeenError
from agent.store.errors import NoStoreError
from collectors.models.artifacts import is_artifact


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path / "ledger.db")


def note(ledger: Ledger, path: str, time_ns: int, **facts: object) -> None:
    known = {"access": "read", "workload": "w", "pid": 7, "exe": "/bin/python", "inode": 5}
    ledger.note(path=path, time_ns=time_ns, **(known | facts))  # type: ignore[arg-type]


def test_the_same_use_again_moves_its_last_time_and_count(ledger: Ledger) -> None:
    note(ledger, "/m/a.gguf", 10)
    note(ledger, "/m/a.gguf", 30, pid=8)
    (use,) = ledger.history("/m/a.gguf")
    assert (use.first_ns, use.last_ns, use.count, use.pid, use.format) == (10, 30, 2, 8, "gguf")


def test_writer_and_reader_stand_apart_oldest_first(ledger: Ledger) -> None:
    note(ledger, "/m/a.gguf", 20, size_bytes=9)
    note(ledger, "/m/a.gguf", 10, access="write", exe="/bin/cp", workload="")
    assert [use.exe for use in ledger.history("/m/a.gguf")] == ["/bin/cp", "/bin/python"]


def test_another_name_of_the_same_file_belongs_to_it(ledger: Ledger) -> None:
    note(ledger, "/m/a.gguf", 10)
    note(ledger, "/m/link.gguf", 20)
    note(ledger, "/m/b.gguf", 30, inode=6)
    assert [use.path for use in ledger.history("/m/a.gguf")] == ["/m/a.gguf", "/m/link.gguf"]


def test_a_directory_has_the_history_of_all_below_it(ledger: Ledger) -> None:
    note(ledger, "/m/a.gguf", 10)
    note(ledger, "/m_2/b.gguf", 10, inode=6)
    assert [use.path for use in ledger.history("/m")] == ["/m/a.gguf"]


def test_who_renamed_and_who_removed_a_model_is_kept(ledger: Ledger) -> None:
    note(ledger, "/m/a.gguf", 10)
    note(ledger, "/m/a.gguf", 20, access="rename-from", inode=0, workload="other")
    note(ledger, "/m/b.gguf", 20, access="rename-to", workload="other")
    note(ledger, "/m/b.gguf", 30, access="remove", inode=0, workload="third")
    kept = [(use.path, use.access, use.workload) for use in ledger.history("/m/a.gguf")]
    assert kept == [
        ("/m/a.gguf", "read", "w"),
        ("/m/a.gguf", "rename-from", "other"),
        ("/m/b.gguf", "rename-to", "other"),
    ]
    assert ledger.history("/m/b.gguf")[-1].access == "remove"


def test_an_inode_of_64_bits_is_kept(ledger: Ledger) -> None:
    note(ledger, "/m/a.gguf", 10, inode=(1 << 64) - 2)
    assert ledger.history("/m/a.gguf")[0].inode == (1 << 64) - 2


def test_a_file_nobody_used_is_unknown(ledger: Ledger) -> None:
    with pytest.raises(NeverSeenError):
        ledger.history("/m/never")


def test_without_a_ledger_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoStoreError):
        Ledger.open_for_reading(tmp_path / "ledger.db")


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("/models/m/model-00001-of-00002.safetensors", True),
        ("/models/m/config.json", True),
        ("/root/.ollama/models/blobs/sha256-" + "a" * 64, True),
        ("/root/.cache/huggingface/hub/models--x/blobs/" + "b" * 40, True),
        ("/models/m/notes.txt", False),
        ("/v/lib/python3.11/site-packages/x/model.bin", False),
        ("/proc/1/x.bin", False),
    ],
)
def test_model_artifacts_are_told_by_their_names(path: str, is_one: bool) -> None:  # noqa: FBT001 (one column of the table)
    assert is_artifact(path) is is_one


def test_a_digest_belongs_to_the_file_under_each_of_its_names(ledger: Ledger) -> None:
    note(ledger, "/m/a.gguf", 10)
    note(ledger, "/m/link.gguf", 20)
    note(ledger, "/m/b.gguf", 30, inode=6)
    ledger.digested(0, 5, 99, "ab" * 32)
    known = {use.path: (use.size_bytes, use.sha256) for use in ledger.history("/m")}
    digest = (99, "ab" * 32)
    assert known == {"/m/a.gguf": digest, "/m/link.gguf": digest, "/m/b.gguf": (0, "")}
