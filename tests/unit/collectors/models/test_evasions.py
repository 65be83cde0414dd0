"""Ways around a scan: each is found by content, and what savers really write is not overstated."""

import io
import json
import pickle
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from collectors.models import Severity, scan_path, scan_tree

CALL = b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R."
TEXT_CALL = b"cposix\nsystem\n(S'true'\ntR."


def zipped(name: str, data: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name, data)
    return made.getvalue()


def tarred(name: str, data: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return made.getvalue()


ARCHIVE = zipped("archive/data.pkl", CALL)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.pt", b"\x80\x02K\x01." + ARCHIVE),
        ("a.bin", b"MZ" + bytes(100) + ARCHIVE),
        ("a.safetensors", struct.pack("<Q", 2) + b"{}" + ARCHIVE),
        ("picture.png", b"\x89PNG\r\n\x1a\n" + ARCHIVE),
        ("a.safetensors", CALL),
        ("a.gguf", CALL),
        ("a.onnx", CALL),
        ("config.json", CALL),
        ("no-suffix", TEXT_CALL),
        ("notes.txt", TEXT_CALL),
        ("no-suffix", b"(S'true'\nios\nsystem\n."),
        ("model.dat", zlib.compress(CALL)),
        ("model.dat", tarred("model_weights.ckpt", ARCHIVE)),
        ("a.pt", b"PKx\n" + CALL),
        ("a.pkl", b"\x80\x04(c_codecs\nencode\n(S'os'\ntR\x8c\x06system\x93\x8c\x01x\x85R."),
        ("a.pkl", b"\x80\x04\x8c\x05numpy\x8c\x08fromfile\x93\x8c\x01x\x85R."),
        ("a.pkl", b"\x80\x04\x8c\x06pandas\x8c\x04eval\x93\x8c\x01x\x85R."),
        ("start.pth", b"import os; os.system('true')\n"),
    ],
)
def test_code_is_danger_under_whatever_name_and_wrapping(
    name: str, data: bytes, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(data)
    worst = max(found.severity.rank for found in scan_path(tmp_path / name))
    assert worst == Severity.DANGER.rank


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "sha256-0123"])
def test_an_archive_that_is_not_unpacked_is_never_a_pass(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(200))
    assert [found.rule for found in scan_path(tmp_path / name)] == ["unread"]


def test_an_index_that_leads_out_of_its_directory_is_danger(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "../../etc/x"}}))
    (finding,) = scan_path(path)
    assert (finding.rule, finding.severity) == ("index-escape", Severity.DANGER)


def test_a_directory_behind_a_link_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "model" / "own").mkdir(parents=True)
    (tmp_path / "model" / "away").symlink_to("../elsewhere")
    (tmp_path / "model" / "near").symlink_to("own")
    found = scan_tree([tmp_path / "model"]).findings
    assert [(one.path.name, one.rule) for one in found] == [("away", "link-outside")]


@pytest.mark.parametrize("value", [{"a": [1, 2.0, "x"]}, {"a": np.zeros(3)}, [None, True]])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_plain_values_are_no_more_than_a_notice(
    value: object, protocol: int, tmp_path: Path
) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(value, protocol))
    np.save(tmp_path / "a.npy", np.array([value], dtype=object), allow_pickle=True)
    found = [*scan_path(tmp_path / "a.pkl"), *scan_path(tmp_path / "a.npy")]
    assert {one.severity for one in found} == {Severity.NOTICE}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("notes.txt", b"cat\nsat on the mat\n"),
        ("README", b"import torch\n"),
        ("vocab.txt", b"S\nI\n1\n"),
        ("words.dat", b"x\x9c is how zlib begins, and this is not it"),
        ("a.safetensors", struct.pack("<Q", 1152) + b"{}" + b" " * 1150),
    ],
)
def test_what_only_begins_like_a_pickle_is_nothing(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    assert scan_path(tmp_path / name) == []
