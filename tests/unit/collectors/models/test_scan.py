"""Model files are judged by what they hold; a broken one is a finding and never a pass."""

import collections
import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest

from collectors.models import Severity, digest, scan_path


class Shell:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


def rules(path: Path) -> list[str]:
    return [finding.rule for finding in scan_path(path)]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_calls_a_shell_is_danger_in_every_protocol(
    protocol: int, tmp_path: Path
) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(pickle.dumps({"a": [Shell()]}, protocol))
    (finding,) = scan_path(path)
    assert (finding.rule, finding.severity) == ("pickle-danger", Severity.DANGER)
    assert "posix.system" in finding.words


def test_a_pickle_that_breaks_after_its_payload_is_still_danger(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(pickle.dumps(Shell())[:-1] + b"\xff\xff")
    assert rules(path) == ["pickle-danger", "broken"]


def test_a_name_kept_in_the_memo_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x940h\x000h\x00h\x01\x93.")
    assert rules(path) == ["pickle-danger"]


@pytest.mark.parametrize("protocol", [0, 4])
def test_the_second_pickle_of_a_file_is_read_too(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "legacy.pt"
    path.write_bytes(pickle.dumps(1) + pickle.dumps(Shell(), protocol) + b"\xff raw tensors")
    assert rules(path) == ["pickle-danger"]


def test_a_length_that_asks_for_all_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(b"\x80\x04\x8d" + (1 << 40).to_bytes(8, "little"))
    assert rules(path) == ["broken"]


def test_a_name_like_a_harmless_one_in_another_module_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(b"ctorch.nn\nload_Storage\n.")
    assert rules(path) == ["pickle-unknown"]


def test_a_pickle_of_plain_values_is_a_notice(tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(collections.OrderedDict(a=[1.0])))
    (finding,) = scan_path(path)
    assert finding.severity == Severity.NOTICE


def test_a_pickle_inside_an_archive_is_found_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/readme", pickle.dumps(Shell()))
    (finding,) = scan_path(path)
    assert (finding.rule, finding.part) == ("pickle-danger", "archive/readme")


def test_a_broken_archive_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    path.write_bytes(b"PK\x03\x04nonsense")
    assert rules(path) == ["broken"]


def test_a_file_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    assert rules(tmp_path / "gone.pt") == ["unread"]


def tensors(path: Path, header: object, data: bytes) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def tensor(low: int, high: int) -> dict[str, object]:
    return {"dtype": "U8", "shape": [high - low], "data_offsets": [low, high]}


def test_a_sound_safetensors_file_has_no_finding(tmp_path: Path) -> None:
    header = {"__metadata__": {"format": "pt"}, "a": tensor(0, 3), "b": tensor(3, 4)}
    assert rules(tensors(tmp_path / "m.safetensors", header, b"1234")) == []


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ({"a": tensor(0, 3), "b": tensor(2, 4)}, b"1234"),
        ({"a": tensor(0, 3)}, b"1234"),
        ({"a": tensor(1, 4)}, b"1234"),
        ({"a": 3}, b""),
        ([], b""),
    ],
)
def test_a_safetensors_header_that_breaks_a_rule_is_a_finding(
    header: object, data: bytes, tmp_path: Path
) -> None:
    assert rules(tensors(tmp_path / "m.safetensors", header, data)) == ["safetensors-header"]


def test_a_digest_is_that_of_the_content(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(b"abc")
    assert digest(path).startswith("ba7816bf8f01cfea")
