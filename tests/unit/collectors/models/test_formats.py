"""Each format's way to carry code, or to break its reader, is a finding; sound files have none."""

import io
import json
import lzma
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pytest

from collectors.models import Severity, scan_path


class Shell:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


def rules(path: Path) -> list[str]:
    return [finding.rule for finding in scan_path(path)]


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# joblib


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_arrays_inside_a_joblib_file_are_passed_over(compress: object, tmp_path: Path) -> None:
    path = tmp_path / "m.joblib"
    weights = {"a": np.arange(9.0), "names": np.array(["x", "yy"]), "b": np.zeros((2, 3), "f4")}
    joblib.dump(weights, path, compress=compress)
    assert rules(path) == ["pickle-present"]


@pytest.mark.parametrize("compress", [0, 3])
def test_a_shell_behind_a_joblib_array_is_danger(compress: int, tmp_path: Path) -> None:
    path = tmp_path / "m.joblib"
    joblib.dump({"a": np.arange(9.0), "b": Shell()}, path, compress=compress)
    assert rules(path) == ["pickle-danger"]


def test_a_shell_in_an_array_of_objects_is_danger(tmp_path: Path) -> None:
    path = tmp_path / "m.joblib"
    joblib.dump({"a": np.array([Shell(), 1], object), "b": np.zeros(3)}, path)
    assert rules(path) == ["pickle-danger"]


def test_a_joblib_array_that_breaks_off_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "m.joblib"
    joblib.dump(np.arange(900.0), path)
    put(path, path.read_bytes()[:-400])
    assert rules(path) == ["broken"]


# NumPy


def test_an_array_of_numbers_has_no_finding(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 4)))
    assert rules(tmp_path / "a.npy") == []


def test_an_array_of_objects_is_its_pickle(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.zeros(2), b=np.array([Shell()], object))
    assert rules(tmp_path / "a.npz") == ["array-objects", "pickle-danger"]


def test_an_array_shorter_than_its_header_says_is_broken(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(9))
    put(tmp_path / "a.npy", (tmp_path / "a.npy").read_bytes()[:-8])
    assert rules(tmp_path / "a.npy") == ["broken"]


# Pickles


def test_a_call_is_shown_with_what_it_is_called_with(tmp_path: Path) -> None:
    (finding,) = scan_path(put(tmp_path / "a.pkl", pickle.dumps(Shell(), 0)))
    assert finding.words == "loading it calls posix.system('true')"
    assert finding.techniques == ("AML.T0011.000", "AML.T0018.002")


@pytest.mark.parametrize(
    "stream",
    [
        b"\x80\x04\x8c\x13torch.serialization\x8c\tos.system\x93\x8c\x02id\x85R.",
        b"(S'id'\nios\nsystem\n.",
        b"(cos\nsystem\nS'id'\no.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"c__builtin__\ngetattr\n.",
    ],
    ids=["dotted", "inst", "obj", "eval", "getattr"],
)
def test_every_way_to_a_dangerous_name_is_found(stream: bytes, tmp_path: Path) -> None:
    assert rules(put(tmp_path / "a.pkl", stream)) == ["pickle-danger"]


def test_a_number_of_the_extension_registry_is_unknown_code(tmp_path: Path) -> None:
    assert rules(put(tmp_path / "a.pkl", b"\x80\x02\x82\x07.")) == ["pickle-unknown"]


def test_a_text_that_is_no_python_literal_is_read_quietly(tmp_path: Path) -> None:
    assert rules(put(tmp_path / "a.pkl", b"S'\\d'\n.")) == ["pickle-present"]


def test_an_empty_stack_does_not_stop_the_scan(tmp_path: Path) -> None:
    assert rules(put(tmp_path / "a.pkl", b"\x80\x04Rbus0cos\nsystem\n.")) == ["pickle-danger"]


@pytest.mark.parametrize("packed", [b"7z\xbc\xaf\x27\x1c\0\0", b"\x28\xb5\x2f\xfd\0\0"])
def test_a_packing_that_scanners_do_not_open_is_a_finding(packed: bytes, tmp_path: Path) -> None:
    assert rules(put(tmp_path / "model.bin", packed)) == ["unread"]


def test_a_compressed_bomb_is_read_a_piece_at_a_time(tmp_path: Path) -> None:
    bomb = zlib.compress(pickle.dumps(bytes(30 << 20)))
    assert rules(put(tmp_path / "a.pkl", bomb)) == ["pickle-present"]


def test_random_weights_called_bin_are_no_finding(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).bytes(4096)
    assert rules(put(tmp_path / "openvino.bin", b"\xff" + noise)) == []


# Archives


def torch_file(path: Path, payload: object) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", pickle.dumps(payload, 2))
        archive.writestr("m/data/0", b"\x80" + bytes(15))
        archive.writestr("m/version", "3")
    return path


def test_raw_storages_that_begin_as_pickles_do_are_no_finding(tmp_path: Path) -> None:
    assert rules(torch_file(tmp_path / "m.pt", {})) == ["pickle-present"]


def corrupt_sum(data: bytes) -> bytes:
    at = data.index(b"PK\x01\x02")
    return data[: at + 16] + b"\0\0\0\0" + data[at + 20 :]


def claim_encryption(data: bytes) -> bytes:
    at = data.index(b"PK\x01\x02")
    return data[: at + 8] + b"\x01" + data[at + 9 :]


def rename_in_header(data: bytes) -> bytes:
    return data.replace(b"m/data.pkl", b"m/data.pkx", 1)


@pytest.mark.parametrize(
    ("harm", "also"),
    [(corrupt_sum, "broken"), (claim_encryption, "unread"), (rename_in_header, "broken")],
)
def test_an_archive_that_contradicts_itself_does_not_hide_a_shell(
    harm: Callable[[bytes], bytes], also: str, tmp_path: Path
) -> None:
    path = torch_file(tmp_path / "m.pt", Shell())
    assert rules(put(path, harm(path.read_bytes()))) == [also, "pickle-danger"]


def test_an_archive_in_an_archive_is_opened(tmp_path: Path) -> None:
    inner = torch_file(tmp_path / "inner.ckpt", Shell())
    with tarfile.open(tmp_path / "m.nemo", "w:gz") as archive:
        archive.add(inner, "model_weights.ckpt")
    (finding,) = scan_path(tmp_path / "m.nemo")
    assert (finding.rule, finding.part) == ("pickle-danger", "model_weights.ckpt/m/data.pkl")


def test_a_nemo_target_that_calls_a_shell_is_danger(tmp_path: Path) -> None:
    text = b"model:\n  _target_: nemo.collections.asr.Model\n  x:\n    _target_: os.system\n"
    with tarfile.open(tmp_path / "m.nemo", "w") as archive:
        member = tarfile.TarInfo("model_config.yaml")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    (finding,) = scan_path(tmp_path / "m.nemo")
    assert (finding.rule, finding.severity) == ("config-code", Severity.DANGER)


def test_a_member_that_unpacks_elsewhere_is_danger(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.mar", "w") as archive:
        archive.writestr("../../etc/cron.d/x", b"")
        archive.writestr("handler.py", b"")
    assert rules(tmp_path / "m.mar") == ["link-outside", "archive-code"]


def test_a_tar_that_breaks_off_is_a_finding(tmp_path: Path) -> None:
    assert rules(put(tmp_path / "m.nemo", lzma.compress(b"x" * 99)[:-9])) == ["broken"]


# Keras


def keras(path: Path, layer: dict[str, object]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": [layer]}}))
    return path


def test_a_keras_lambda_is_danger(tmp_path: Path) -> None:
    layer: dict[str, object] = {"module": "keras.layers", "class_name": "Lambda"}
    assert rules(keras(tmp_path / "m.keras", layer)) == ["keras-lambda"]


def test_a_keras_layer_of_a_foreign_module_is_named(tmp_path: Path) -> None:
    layer: dict[str, object] = {"module": "subprocess", "class_name": "function", "config": "run"}
    (finding,) = scan_path(keras(tmp_path / "m.keras", layer))
    assert (finding.severity, finding.words) == (Severity.DANGER, "it imports subprocess.run")


def test_a_plain_keras_layer_is_no_finding(tmp_path: Path) -> None:
    layer: dict[str, object] = {"module": "keras.layers", "class_name": "Dense", "config": {}}
    assert rules(keras(tmp_path / "m.keras", layer)) == []


def test_a_lambda_across_two_pieces_of_an_hdf5_file_is_found(tmp_path: Path) -> None:
    filling = b"\x89HDF\r\n\x1a\n".ljust((1 << 20) - 10, b"\0")
    path = put(tmp_path / "m.h5", filling + b'{"class_name": "Lambda"}')
    assert rules(path) == ["keras-lambda"]


def test_a_graph_that_writes_files_is_a_finding(tmp_path: Path) -> None:
    assert rules(put(tmp_path / "saved_model.pb", b"\n\x09WriteFile\x12")) == ["graph-operator"]


# Safetensors


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', "type and shape"),
        ('{"a":{"dtype":"U8","shape":[-4,-1],"data_offsets":[0,4]}}', "natural numbers"),
        ('{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}', "1 bytes follow"),
        ('{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}', "5 bytes more"),
        ('{"a":{},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}', "twice"),
        ('{"__metadata__":{"a":{}}}', "more than text"),
    ],
)
def test_a_safetensors_rule_that_is_broken_is_told(header: str, says: str, tmp_path: Path) -> None:
    text = header.encode()
    path = put(tmp_path / "m.safetensors", len(text).to_bytes(8, "little") + text + b"1234")
    (finding,) = scan_path(path)
    assert says in finding.words


# GGUF


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def gguf(*pairs: bytes, tensors: tuple[bytes, ...] = (), data: bytes = b"") -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs))
    head += b"".join(pairs) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + data


def string(key: str, value: str) -> bytes:
    return text(key) + struct.pack("<I", 8) + text(value)


def tensor(items: int, offset: int, kind: int = 0) -> bytes:
    return text("w") + struct.pack("<IQIQ", 1, items, kind, offset)


def test_a_sound_gguf_file_has_no_finding(tmp_path: Path) -> None:
    words = text("t") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b")
    template = string(
        "tokenizer.chat_template", "{% for m in messages %}{{ m.content }}{% endfor %}"
    )
    data = gguf(words, template, tensors=(tensor(8, 0),), data=bytes(32))
    assert rules(put(tmp_path / "m.gguf", data)) == []


@pytest.mark.parametrize(
    "data",
    [
        gguf(tensors=(tensor(1 << 40, 0),), data=bytes(32)),
        gguf(tensors=(tensor(8, 7),), data=bytes(64)),
        b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0),
        b"GGUF" + struct.pack("<IQQ", 9, 0, 0),
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 50),
        gguf(text("general.alignment") + struct.pack("<II", 4, 3)),
        b"GGUF\x03",
        b"nonsense",
    ],
    ids=["past-end", "unaligned", "counts", "version", "key", "alignment", "short", "magic"],
)
def test_a_gguf_header_that_lies_is_a_finding(data: bytes, tmp_path: Path) -> None:
    assert rules(put(tmp_path / "m.gguf", data)) == ["gguf-header"]


def test_a_gguf_chat_template_is_judged(tmp_path: Path) -> None:
    template = "{{ cycler.__init__.__globals__.os.popen('id').read() }}"
    data = gguf(string("tokenizer.chat_template", template))
    assert rules(put(tmp_path / "m.gguf", data)) == ["template-danger"]


# ONNX


def field(number: int, data: bytes) -> bytes:
    size, out = len(data), bytes([number << 3 | 2])
    while size > 127:
        out, size = out + bytes([size & 127 | 128]), size >> 7
    return out + bytes([size]) + data


def model(location: str = "", domain: str = "", *, attribute: bool = False) -> bytes:
    entry = field(13, field(1, b"location") + field(2, location.encode())) if location else b""
    node = field(4, b"Add") + field(7, domain.encode())
    if attribute:
        node += field(5, field(5, entry))
        entry = b""
    return b"\x08\x09" + field(7, field(1, node) + field(5, b"\x08\x02" + entry))


@pytest.mark.parametrize("location", ["/etc/passwd", "../secret", "link/data"])
@pytest.mark.parametrize("attribute", [False, True])
def test_external_data_that_leaves_the_directory_is_danger(
    location: str,
    attribute: bool,  # noqa: FBT001 (a parameter of the test)
    tmp_path: Path,
) -> None:
    (tmp_path / "link").symlink_to("/")
    path = put(tmp_path / "m.onnx", model(location, attribute=attribute))
    (finding,) = scan_path(path)
    assert (finding.rule, finding.severity) == ("onnx-escape", Severity.DANGER)


def test_external_data_beside_the_model_is_no_finding(tmp_path: Path) -> None:
    assert rules(put(tmp_path / "m.onnx", model("weights.data"))) == []


def test_operators_of_a_foreign_domain_are_named(tmp_path: Path) -> None:
    (finding,) = scan_path(put(tmp_path / "m.onnx", model(domain="evil.corp")))
    assert (finding.rule, "evil.corp" in finding.words) == ("onnx-custom", True)


@pytest.mark.parametrize("data", [b"", b"\x3a\xff\xff\x01", model()[:-3], b"\x0b"])
def test_what_is_no_onnx_model_is_broken(data: bytes, tmp_path: Path) -> None:
    assert rules(put(tmp_path / "m.onnx", data)) == ["broken"]
