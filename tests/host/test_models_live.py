"""Model files and posture on a server that really runs."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.engines import EngineServer
from tests.servers.serve import ONNX_PYTHON, OnnxServer, ServerError, tree

ROOT = Path(__file__).parents[2]


class Shell:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnnxServer]:
    if not ONNX_PYTHON.exists():
        pytest.skip(f"there is no {ONNX_PYTHON}; `make demo-setup` makes it")
    started = OnnxServer.start(tmp_path_factory.mktemp("server"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def config(server: OnnxServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("agent")
    path = place / "agent.toml"
    path.write_text(
        f'[paths]\nstate = "{place}/state"\nrun = "{place}/run"\n'
        f'[[workload]]\nname = "digits"\nmatch = {{ port = {server.port} }}\n'
    )
    return path


def agent(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent.main", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_models_libraries_and_weaknesses_of_a_real_server_are_told(
    server: OnnxServer, config: Path
) -> None:
    done = agent("workloads", "--local", "--json", "--config", config)
    assert done.returncode == 0, done.stderr
    (page,) = [one for one in json.loads(done.stdout) if one["name"] == "digits"]
    assert page["engine"] == "onnxruntime"
    assert page["version"]
    assert [model["path"] for model in page["models"]] == [str(server.models / "digits-1.onnx")]
    findings = {one["finding"] for one in page["weaknesses"]}
    assert {"root", "repository-writable", "unapproved-weights"} <= findings
    mapped = {one["name"] for one in page["libraries"] if one["mapped"]}
    assert {"onnxruntime", "numpy"} <= mapped


@pytest.mark.parametrize(
    ("name", "engine", "model", "under", "weaknesses"),
    [
        ("llamacpp", "llama-cpp", "noise.gguf", {"main": ""}, set()),
        # It gives tritonserver the token of its management calls as an argument.
        (
            "triton", "pytriton", "digits-1.onnx",
            {"engine": "main", "stub": "engine", "worker": "stub"},
            {"secret-in-arguments", "shared-memory"},
        ),
        (
            "torchserve", "torchserve", "digits-1.onnx",
            {"worker": "frontend"},
            {"no-authentication"},
        ),
    ],
)  # fmt: skip
def test_a_real_server_of_another_make_is_told_with_its_tree_and_weaknesses(  # noqa: PLR0913
    name: str,
    engine: str,
    model: str,
    under: dict[str, str],
    weaknesses: set[str],
    *,
    tmp_path: Path,
) -> None:
    try:
        server = EngineServer.start(name, tmp_path / name)
    except ServerError as error:
        pytest.skip(f"{name} is not installed here, or does not start: {error}")
    try:
        nowhere = tmp_path / "agent.toml"
        nowhere.write_text(f'[paths]\nstate = "{tmp_path}/state"\nrun = "{tmp_path}/run"\n')
        done = agent("workloads", "--local", "--json", "--config", nowhere)
        assert done.returncode == 0, done.stderr
        mine = {process.pid for process in tree(server.process.pid)}
    finally:
        server.stop()
    pages = json.loads(done.stdout)
    (page,) = [one for one in pages if mine & {m["pid"] for m in one["members"]}]
    assert page["engine"] == engine
    assert page["version"]
    roles = {one["pid"]: one["role"] for one in page["members"]}
    found = {(one["role"], roles.get(one["parent"], "")) for one in page["members"]}
    assert set(under.items()) <= found
    common = {"root", "repository-writable", "unapproved-weights"}
    assert {one["finding"] for one in page["weaknesses"]} == common | weaknesses
    assert str(tmp_path / name / model) in {one["path"] for one in page["models"]}
    assert "triton-access-token" not in json.dumps(page["weaknesses"])


def test_a_tampered_swapped_added_and_pickled_model_are_each_caught(
    server: OnnxServer, config: Path
) -> None:
    models, weights = server.models, server.models / "digits-1.onnx"
    assert agent("models", "scan", models).returncode == 0
    assert agent("models", "trust", models, "--config", config).returncode == 0
    assert agent("models", "verify", models, "--config", config).returncode == 0
    original = weights.read_bytes()
    weights.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    (models / "evil.pkl").write_bytes(pickle.dumps(Shell()))
    (models / "samples.json").rename(models.parent / "elsewhere.json")
    (models / "samples.json").symlink_to("../elsewhere.json")
    done = agent("models", "verify", models, "--json", "--config", config)
    assert done.returncode == 1
    found = {(one["path"], one["what"]) for one in json.loads(done.stdout)["findings"]}
    assert found == {
        ("digits-1.onnx", "changed"),
        ("evil.pkl", "extra"),
        ("samples.json", "swapped"),
    }
    assert agent("models", "scan", models).returncode == 1
