"""How a server is run is judged from its processes and files, without an attack."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from collectors.engines import Rulebook
from collectors.engines.packages import Distribution, affected, distributions, site_packages
from collectors.engines.posture import Server, Weakness, judge
from collectors.models.artifacts import held
from collectors.procfs import ReadCounts

Host = Any
PYTHON = "/opt/venv/bin/python"
NOBODY = 65_534


@pytest.fixture(scope="module")
def rules() -> Rulebook:
    return Rulebook.load()


def server(
    host: Host, rules: Rulebook, engine: str, libraries: Sequence[Distribution] = ()
) -> Server:
    processes = tuple(process for process in host.table() if process.pid != 1)
    models = tuple(one for process in processes for one in held(process))
    engines = (rules.engines[engine], rules.engines["generic"])
    advisories = tuple(one for known in rules.engines.values() for one in known.advisory)
    return Server(engines, processes, advisories, models, tuple(libraries))


def judged(host: Host, rules: Rulebook, engine: str) -> dict[str, Weakness]:
    return {one.finding: one for one in judge(server(host, rules, engine))}


def root_of(host: Host, pid: int, root: Path) -> None:
    (host.root / str(pid) / "root").symlink_to(root)


def test_a_careful_server_has_no_weakness(host: Host, rules: Rulebook) -> None:
    host.add(100, [PYTHON, "/v/bin/vllm", "serve", "m"], ports=[8000], address="0100007F")
    assert judged(host, rules, "vllm") == {}


def test_a_peer_port_open_to_all_is_danger(host: Host, rules: Rulebook) -> None:
    host.add(100, [PYTHON, "/v/bin/vllm", "serve", "m"], ports=[5557, 8000])
    found = judged(host, rules, "vllm")
    assert list(found) == ["wildcard-internal-port"]
    assert found["wildcard-internal-port"].seen == "0.0.0.0:5557"
    assert "127.0.0.1" in found["wildcard-internal-port"].fix


@pytest.mark.parametrize(
    ("engine", "arguments", "port", "finding"),
    [
        ("vllm", ["--trust-remote-code"], 0, "remote-code"),
        ("sglang", ["--trust-remote-code"], 0, "remote-code"),
        ("tgi", ["--trust-remote-code"], 0, "remote-code"),
        ("lmdeploy", ["--trust-remote-code"], 0, "remote-code"),
        ("transformers-serve", ["--trust_remote_code"], 0, "remote-code"),
        ("mlserver", ["--trust-remote-code"], 0, "remote-code"),
        ("triton", ["--model-control-mode=poll"], 0, "repository-polling"),
        ("triton", ["--model-control-mode=explicit"], 0, "repository-control"),
        ("torchserve", ["--disable-token-auth"], 0, "no-authentication"),
        ("torchserve", [], 8081, "wildcard-management-port"),
        ("ray-serve", [], 8265, "wildcard-management-port"),
        ("ollama", [], 11434, "wildcard-management-port"),
        ("llama-cpp", [], 50052, "wildcard-internal-port"),
        ("sglang", [], 5557, "wildcard-internal-port"),
        ("tensorflow-serving", [], 8500, "wildcard-serving-port"),
        ("tensorflow-serving", ["--model_base_path=/m"], 0, "repository-polling"),
        ("mlserver", [], 8080, "wildcard-management-port"),
        ("mlserver", [], 8081, "wildcard-management-port"),
        ("pytriton", ["--model-control-mode", "explicit"], 0, "repository-control"),
        ("bentoml", ["serve", "--reload"], 0, "code-reload"),
        ("litserve", ["app:app", "--reload"], 0, "code-reload"),
        ("lmdeploy", ["--allow-terminate-by-client"], 0, "remote-shutdown"),
        ("llama-cpp", ["--slot-save-path", "/s"], 0, "client-writes"),
        ("vllm", ["--api-key", "sk-1"], 0, "secret-in-arguments"),
        ("sglang", ["--admin-api-key=sk-1"], 0, "secret-in-arguments"),
    ],
)
def test_what_an_engine_s_file_calls_weak_is_found(  # noqa: PLR0913, PLR0917 (a column each)
    engine: str, arguments: list[str], port: int, finding: str, host: Host, rules: Rulebook
) -> None:
    host.add(100, ["server", *arguments], ports=[port] if port else [])
    assert list(judged(host, rules, engine)) == [finding]


def test_a_repository_that_is_looked_at_once_is_not_polled(host: Host, rules: Rulebook) -> None:
    once = "--file_system_poll_wait_seconds=0"
    host.add(100, ["tensorflow_model_server", "--model_base_path=/m", once])
    assert judged(host, rules, "tensorflow-serving") == {}


def test_a_repository_behind_a_token_is_told_for_the_token_which_is_not_repeated(
    host: Host, rules: Rulebook
) -> None:
    token = "model-repository:triton-access-token=hush"
    mode = ["--model-control-mode", "explicit"]
    host.add(100, ["tritonserver", *mode, "--http-restricted-api", token])
    (found,) = judge(server(host, rules, "pytriton"))
    assert found.finding == "secret-in-arguments"
    assert found.seen == "--http-restricted-api"
    assert "hush" not in str(found)
    assert "/proc" in found.fix


def test_a_key_in_a_file_is_no_secret_in_arguments(host: Host, rules: Rulebook) -> None:
    host.add(100, ["llama-server", "--api-key-file", "/run/keys/llama"])
    assert judged(host, rules, "llama-cpp") == {}


def test_a_server_run_by_root_is_told(host: Host, rules: Rulebook) -> None:
    host.add(100, ["ollama", "serve"], uid=0)
    host.add(101, ["ollama", "runner"], ppid=100, uid=0)
    (found,) = judge(server(host, rules, "ollama"))
    assert (found.finding, found.severity, found.pid) == ("root", "warning", 100)


def test_pickled_weights_are_told_wherever_they_are_held(
    host: Host, rules: Rulebook, tmp_path: Path
) -> None:
    host.add(100, [PYTHON, "serve.py"], files=["/models/m/weights.pt"])
    root_of(host, 100, tmp_path)
    assert judged(host, rules, "torchserve")["pickle-weights"].seen == "/models/m/weights.pt"


@pytest.mark.parametrize(
    ("mode", "uid", "severity"),
    [
        (0o777, NOBODY, "danger"),
        (0o1777, NOBODY, "warning"),
        (0o755, os.getuid(), "warning"),
        (0o755, NOBODY, None),
        (0o555, os.getuid() or NOBODY, None),
    ],
)
def test_a_repository_the_server_can_write_is_told(  # noqa: PLR0913, PLR0917 (a column each)
    mode: int, uid: int, severity: str | None, host: Host, rules: Rulebook, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    (root / "models").mkdir(parents=True)
    (root / "models").chmod(mode)
    host.add(100, ["tritonserver"], exe="/opt/tritonserver", uid=uid, files=["/models/a.onnx"])
    root_of(host, 100, root)
    found = judged(host, rules, "triton").get("repository-writable")
    assert (found.severity if found else None) == severity


@pytest.mark.parametrize(
    ("mode", "severity"), [(0o644, "warning"), (0o666, "danger"), (0o600, None)]
)
def test_shared_memory_that_others_reach_is_told(
    mode: int, severity: str | None, host: Host, rules: Rulebook, tmp_path: Path
) -> None:
    (tmp_path / "dev" / "shm").mkdir(parents=True)
    region = tmp_path / "dev" / "shm" / "triton_python_backend_shm_region_1"
    region.touch()
    region.chmod(mode)
    host.add(100, ["tritonserver"], libraries=["/dev/shm/triton_python_backend_shm_region_1"])
    root_of(host, 100, tmp_path)
    found = judged(host, rules, "triton").get("shared-memory")
    assert (found.severity if found else None) == severity


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("0.11.0", ["CVE-2025-62164", "CVE-2025-66448", "CVE-2026-22778"]),
        ("0.11.1", ["CVE-2026-22778"]),
        ("0.14.1", []),
        ("0.33.0+cu128", []),
        ("unknown", []),
    ],
)
def test_an_engine_version_is_held_against_what_is_published(
    version: str, known: list[str], host: Host, rules: Rulebook
) -> None:
    host.add(100, [PYTHON, "/v/bin/vllm", "serve", "m"])
    one = Distribution("vllm", version, "/v/site-packages", mapped=False)
    found = judge(server(host, rules, "vllm", [one]))
    assert sorted(each.seen.rpartition(" ")[2] for each in found) == known


def test_a_library_that_is_installed_and_not_loaded_is_no_weakness(
    host: Host, rules: Rulebook
) -> None:
    host.add(100, [PYTHON, "serve.py"])
    idle = Distribution("torch", "2.5.1", "/v/site-packages", mapped=False)
    loaded = Distribution("torch", "2.5.1", "/w/site-packages", mapped=True)
    assert judge(server(host, rules, "litserve", [idle])) == []
    (found,) = judge(server(host, rules, "litserve", [loaded]))
    assert (found.severity, found.fix) == ("danger", "install torch 2.6.0 or later")


def test_versions_compare_by_number_not_by_letters() -> None:
    assert affected("0.9", "0.8", "0.10")
    assert not affected("0.10", "0.8", "0.10")
    assert affected("1.0", "1.0.0", "1.0.1")


def test_distributions_are_told_by_their_metadata_and_by_what_is_mapped(tmp_path: Path) -> None:
    for name in ("scikit_learn-1.9.1", "numpy-2.4.6", "pip-23.0"):
        (tmp_path / f"{name}.dist-info").mkdir()
    (tmp_path / "scikit_learn-1.9.1.dist-info" / "top_level.txt").write_text("sklearn\n")
    tops = site_packages(
        ["/v/site-packages/sklearn/a.so", "/v/site-packages/numpy.libs/b.so", "/usr/lib/c.so"]
    )
    counts = ReadCounts()
    found = distributions("/v/site-packages", tops["/v/site-packages"], tmp_path, counts)
    assert [(one.name, one.version, one.mapped) for one in found] == [
        ("numpy", "2.4.6", True),
        ("pip", "23.0", False),
        ("scikit-learn", "1.9.1", True),
    ]


def test_a_package_directory_that_cannot_be_read_is_counted(tmp_path: Path) -> None:
    counts = ReadCounts()
    assert distributions("/v", set(), tmp_path / "none", counts) == []
    assert counts.vanished == 1
