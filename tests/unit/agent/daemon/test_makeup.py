"""What a process is made of, read from /proc and from its files."""

import io
import os
import re
import subprocess
from pathlib import Path

from agent.daemon.makeup import EXECUTABLE, Builds, build_of, makeup
from collectors.processes import snapshot


def test_an_executable_is_named_by_its_build_whatever_its_path() -> None:
    told = subprocess.run(
        ["readelf", "-n", "/bin/true"], capture_output=True, text=True, check=True
    )
    wanted = re.findall(r"Build ID: ([0-9a-f]+)", told.stdout)
    with Path("/bin/true").open("rb") as file:
        assert build_of(file, Path("/bin/true").stat().st_size) == f"build {wanted[0]}"


def test_without_a_build_id_both_ends_and_the_size_count() -> None:
    one = bytes(3 << 20)
    other = one[:-1] + b"\1"
    assert _build(one) != _build(other)
    assert _build(one) != _build(one + b"\0")
    assert _build(b"") == _build(b"")
    assert _build(b"\x7fELF\2\1" + bytes(200)).startswith("sha256")
    assert _build(b"\x7fELF\2\1" + b"\xff" * 58).startswith("sha256")


def _build(data: bytes) -> str:
    return build_of(io.BytesIO(data), len(data))


def test_models_are_told_by_size_and_time_and_a_missing_one_is_left_out(tmp_path: Path) -> None:
    model, missing = tmp_path / "model.onnx", tmp_path / "missing.onnx"
    model.write_bytes(bytes(1234))
    os.utime(model, (1_700_000_000, 1_700_000_000))
    me = snapshot().get(os.getpid())
    assert me is not None
    builds: Builds = {}
    found = makeup(me, [str(model), str(missing)], builds)
    assert found[str(model)] == "1,234 bytes of 2023-11-14 22:13:20 UTC"
    assert set(found) == {EXECUTABLE, str(model)}
    assert found[EXECUTABLE].startswith(f"{me.exe} (")
    assert len(builds) == 1


def test_a_model_changed_since_the_process_started_is_not_what_it_is_made_of(
    tmp_path: Path,
) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(bytes(10))
    os.utime(model, (2_000_000_000, 2_000_000_000))
    me = snapshot().get(os.getpid())
    assert me is not None
    assert str(model) not in makeup(me, [str(model)], {})
