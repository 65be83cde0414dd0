"""Each engine is recognised on its documented process tree, and look-alike names are not."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collectors.engines import Recognised, Rulebook

# The `host` fixture lives in the conftest above, which is no module to import from.
Host = Any

PYTHON = "/opt/venv/bin/python"
TORCH = ["/opt/venv/lib/python3.11/site-packages/torch/lib/libtorch_cpu.so"]
ORT = [
    "/v/site-packages/onnxruntime/capi/onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so"
]


@pytest.fixture(scope="module")
def rules() -> Rulebook:
    return Rulebook.load()


def vllm(host: Host) -> None:
    host.add(100, [PYTHON, "/opt/venv/bin/vllm", "serve", "org/model"], ports=[8000])
    host.add(101, ["VLLM::EngineCore"], ppid=100, libraries=TORCH)
    host.add(102, ["VLLM::Worker_TP0"], ppid=101, libraries=TORCH)


def sglang(host: Host) -> None:
    host.add(100, [PYTHON, "-m", "sglang.launch_server", "--model-path", "m"], ports=[30000])
    host.add(101, ["sglang::scheduler"], ppid=100, libraries=TORCH)
    host.add(102, ["sglang::detokenizer"], ppid=100)


def triton(host: Host) -> None:
    exe = "/opt/tritonserver/bin/tritonserver"
    host.add(100, ["tritonserver", "--model-repository=/models"], exe=exe, ports=[8000, 8001])
    stub = "/opt/tritonserver/backends/python/triton_python_backend_stub"
    host.add(101, [stub, "/models/m/1/model.py"], ppid=100, exe=stub)


def pytriton(host: Host) -> None:
    workspace = "/root/.cache/pytriton/workspace_x1"
    host.add(100, [PYTHON, "server.py"])
    host.add(101, ["tritonserver"], ppid=100, exe=f"{workspace}/tritonserver", ports=[8000])
    stub = f"{workspace}/python_backend/triton_python_backend_stub"
    host.add(102, [stub], ppid=101, exe=stub)


def torchserve(host: Host) -> None:
    java = "/usr/lib/jvm/java-17-openjdk-amd64/bin/java"
    host.add(
        100,
        ["java", "-Dmodel_server_home=/v/ts", "-cp", "x", "org.pytorch.serve.ModelServer"],
        exe=java,
    )
    host.add(
        101,
        [PYTHON, "/v/ts/model_service_worker.py", "--sock-type", "unix"],
        ppid=100,
        libraries=TORCH,
    )
    host.add(102, ["jspawnhelper", "9:11"], ppid=100, exe="/usr/lib/jvm/java-17/lib/jspawnhelper")


def tgi(host: Host) -> None:
    host.add(100, ["text-generation-launcher"], exe="/usr/local/bin/text-generation-launcher")
    host.add(101, [PYTHON, "/usr/bin/text-generation-server", "serve", "m"], ppid=100)
    host.add(102, ["text-generation-router"], ppid=100, exe="/usr/bin/text-generation-router")


def ray_serve(host: Host) -> None:
    base = "/v/site-packages/ray/core/src/ray"
    host.add(100, ["gcs_server"], exe=f"{base}/gcs/gcs_server", ports=[6379])
    host.add(101, ["raylet"], exe=f"{base}/raylet/raylet")
    host.add(102, ["ray::ServeReplica:app:dep"], ppid=101)
    host.add(103, ["ray::ServeController"], ppid=101)


def ollama(host: Host) -> None:
    host.add(100, ["/usr/bin/ollama", "serve"], exe="/usr/bin/ollama", ports=[11434])
    runner = ["llama-server", "--port", "40001", "--host", "127.0.0.1", "--offline"]
    host.add(101, runner, ppid=100, exe="/usr/lib/ollama/llama-server")


def llama_cpp(host: Host) -> None:
    exe = "/usr/local/bin/llama-server"
    host.add(100, ["llama-server", "-m", "m.gguf", "--port", "8080"], exe=exe, ports=[8080])


def bentoml(host: Host) -> None:
    host.add(100, [PYTHON, "/v/bin/bentoml", "serve", "service:S"], ports=[3000])
    host.add(101, [PYTHON, "-m", "_bentoml_impl.worker.service", "s", "--fd", "3"], ppid=100)


def mlserver(host: Host) -> None:
    host.add(100, [PYTHON, "/v/bin/mlserver", "start", "."], ports=[8080, 8081])
    spawn = "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5)"
    host.add(101, [PYTHON, "-c", spawn, "--multiprocessing-fork"], ppid=100)
    tracker = "from multiprocessing.resource_tracker import main;main(4)"
    host.add(102, [PYTHON, "-c", tracker], ppid=100)


def litserve(host: Host) -> None:
    host.add(100, [PYTHON, "-m", "litserve", "server.py"], ports=[8000])


def tensorflow_serving(host: Host) -> None:
    exe = "/usr/bin/tensorflow_model_server"
    host.add(100, ["tensorflow_model_server", "--rest_api_port=8501"], exe=exe, ports=[8500, 8501])


def onnxruntime(host: Host) -> None:
    app = [PYTHON, "/v/bin/uvicorn", "server:app", "--port", "8111"]
    host.add(100, app, libraries=ORT, ports=[8111])


def transformers_serve(host: Host) -> None:
    host.add(100, [PYTHON, "/v/bin/transformers", "serve", "--port", "8112"], libraries=TORCH)


def lmdeploy(host: Host) -> None:
    host.add(100, [PYTHON, "/v/bin/lmdeploy", "serve", "api_server", "m"], ports=[23333])


def generic(host: Host) -> None:
    app = [PYTHON, "-m", "uvicorn", "app:app", "--port=9000"]
    host.add(100, app, libraries=TORCH, ports=[9000])


TREES: dict[str, tuple[Callable[[Host], None], str, dict[int, str]]] = {
    "vllm": (vllm, "vllm-8000", {100: "frontend", 101: "engine", 102: "worker"}),
    "sglang": (sglang, "sglang-30000", {100: "frontend", 101: "engine", 102: "worker"}),
    "triton": (triton, "triton-8000", {100: "engine", 101: "stub"}),
    "pytriton": (pytriton, "pytriton-8000", {100: "main", 101: "engine", 102: "stub"}),
    "torchserve": (torchserve, "torchserve-8080", {100: "frontend", 101: "worker", 102: "helper"}),
    "tgi": (tgi, "tgi-3000", {100: "controller", 101: "engine", 102: "frontend"}),
    "ray-serve": (
        ray_serve,
        "ray-serve",
        {100: "controller", 101: "controller", 102: "worker", 103: "controller"},
    ),
    "ollama": (ollama, "ollama-11434", {100: "frontend", 101: "runner"}),
    "llama-cpp": (llama_cpp, "llama-cpp-8080", {100: "engine"}),
    "bentoml": (bentoml, "bentoml-3000", {100: "controller", 101: "worker"}),
    "mlserver": (mlserver, "mlserver-8080", {100: "frontend", 101: "worker", 102: "helper"}),
    "litserve": (litserve, "litserve-8000", {100: "controller"}),
    "tensorflow-serving": (tensorflow_serving, "tensorflow-serving-8501", {100: "engine"}),
    "onnxruntime": (onnxruntime, "onnxruntime-8111", {100: "main"}),
    "transformers-serve": (transformers_serve, "transformers-serve-8112", {100: "frontend"}),
    "lmdeploy": (lmdeploy, "lmdeploy-23333", {100: "frontend"}),
    "generic": (generic, "generic-9000", {100: "main"}),
}


def only(found: list[Recognised]) -> Recognised:
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("engine", TREES)
def test_an_engine_is_recognised_with_its_tree_and_roles(
    engine: str, host: Host, rules: Rulebook
) -> None:
    build, name, roles = TREES[engine]
    build(host)
    table = host.table()
    found = only(rules.recognise(table))
    assert (found.engine, found.name) == (engine, name)
    assert found.pids == roles.keys()
    assert found.points >= 50
    assert {pid: rules.role(engine, table.processes[pid], table) for pid in roles} == roles


def test_every_engine_that_ships_has_a_tree_here(rules: Rulebook) -> None:
    assert rules.engines.keys() == TREES.keys()


@pytest.mark.parametrize(
    ("exe", "cmdline"),
    [
        ("/usr/bin/vim", ["vim", "vllm", "serve"]),
        ("/usr/bin/grep", ["grep", "-r", "org.pytorch.serve.ModelServer"]),
        ("/usr/bin/bash", ["tritonserver"]),
        ("/tmp/x", ["VLLM::EngineCore"]),
        (PYTHON, [PYTHON, "vllm_notes.py", "serve"]),
        (PYTHON, [PYTHON, "/v/bin/vllm", "bench", "serve"]),
        ("/usr/bin/ollama", ["ollama", "run", "m"]),
    ],
)
def test_a_name_alone_recognises_nothing(
    exe: str, cmdline: list[str], host: Host, rules: Rulebook
) -> None:
    host.add(100, cmdline, exe=exe)
    assert rules.recognise(host.table()) == []


def test_a_shell_that_starts_a_server_is_not_its_root(host: Host, rules: Rulebook) -> None:
    host.add(50, ["sh", "-c", "vllm serve m"], exe="/usr/bin/dash")
    host.add(100, [PYTHON, "/v/bin/vllm", "serve", "m"], ppid=50)
    host.add(101, ["sh", "-c", "curl x"], ppid=100, exe="/usr/bin/dash")
    table = host.table()
    found = only(rules.recognise(table))
    assert found.root_pid == 100
    assert rules.role("vllm", table.processes[101], table) == "unknown-child"


def test_pytriton_with_a_workspace_of_its_own_place_is_pytriton_with_the_models_process(
    host: Host, rules: Rulebook
) -> None:
    exe = "/srv/w/tritonserver"
    shared = "--backend-config=python,shm-region-prefix-name=pytrtion100-a1b2"
    host.add(100, [PYTHON, "server.py"])
    host.add(101, ["tritonserver", shared], ppid=100, exe=exe, ports=[8000])
    found = only(rules.recognise(host.table()))
    assert (found.engine, set(found.pids)) == ("pytriton", {100, 101})


def test_a_copy_of_the_root_is_a_worker(host: Host, rules: Rulebook) -> None:
    onnxruntime(host)
    cmdline = [PYTHON, "/v/bin/uvicorn", "server:app", "--port", "8111"]
    host.add(101, cmdline, ppid=100, libraries=ORT)
    table = host.table()
    only(rules.recognise(table))
    assert rules.role("onnxruntime", table.processes[101], table) == "worker"


def test_an_engine_inside_another_ones_tree_belongs_to_it(host: Host, rules: Rulebook) -> None:
    ray_serve(host)
    host.add(110, [PYTHON, "-m", "vllm.entrypoints.openai.api_server"], ppid=102)
    found = only(rules.recognise(host.table()))
    assert found.engine == "ray-serve"
    assert 110 in found.pids


def test_a_server_that_loads_its_runtime_late_is_found_when_its_age_doubled(host: Host) -> None:
    rules = Rulebook.load()
    host.add(100, [PYTHON, "-m", "uvicorn", "a:a", "--port", "8111"], ports=[8111])
    table = host.table()
    assert rules.recognise(table) == []
    host.remove(100)
    onnxruntime(host)
    later = host.table()
    object.__setattr__(later, "time_ns", table.time_ns * 3)
    assert [found.engine for found in rules.recognise(later)] == ["onnxruntime"]


def test_a_service_names_its_workload_and_keeps_its_orphans(host: Host, rules: Rulebook) -> None:
    place = "0::/system.slice/embed.service\n"
    host.add(100, [PYTHON, "/v/bin/vllm", "serve", "m"], cgroup=place)
    host.add(101, [PYTHON, "orphan.py"], cgroup=place)
    found = only(rules.recognise(host.table()))
    assert found.name == "vllm-embed"
    assert found.pids == {100, 101}


def test_who_left_its_parents_stays_in_the_session_that_the_root_began(
    host: Host, rules: Rulebook
) -> None:
    host.add(100, [PYTHON, "/v/bin/vllm", "serve", "m"], session=100)
    host.add(50, ["reaper"], exe="/usr/bin/reaper", session=50)
    host.add(101, [PYTHON, "left.py"], ppid=50, session=100)
    host.add(102, [PYTHON, "below.py"], ppid=101, session=102)
    host.add(103, [PYTHON, "another.py"], session=103)
    (found,) = rules.recognise(host.table())
    assert found.pids == {100, 101, 102}
    table = host.table()
    roles = [rules.role(found.engine, table.processes[pid], table) for pid in (101, 102)]
    assert roles == ["unknown-child", "unknown-child"]


def test_the_session_of_whoever_started_the_root_is_not_taken(host: Host, rules: Rulebook) -> None:
    host.add(90, ["bash"], exe="/usr/bin/bash", session=90)
    host.add(100, [PYTHON, "/v/bin/vllm", "serve", "m"], ppid=90, session=90)
    host.add(101, [PYTHON, "job.py"], ppid=90, session=90)
    (found,) = rules.recognise(host.table())
    assert found.pids == {100}


def test_the_cgroup_of_a_host_service_is_not_taken(host: Host, rules: Rulebook) -> None:
    place = "0::/system.slice/cron.service\n"
    host.add(90, ["cron"], exe="/usr/sbin/cron", cgroup=place)
    host.add(100, [PYTHON, "/v/bin/vllm", "serve", "m"], ppid=90, cgroup=place)
    host.add(101, [PYTHON, "job.py"], ppid=90, cgroup=place)
    assert only(rules.recognise(host.table())).pids == {100}


def test_an_idle_process_in_a_servers_image_is_no_server(host: Host, tmp_path: Path) -> None:
    container = "cd" * 32
    directory = tmp_path / "var/lib/docker/containers" / container
    directory.mkdir(parents=True)
    config = '{"Name": "/chat", "Config": {"Image": "vllm/vllm-openai:v0.33.0"}}'
    (directory / "config.v2.json").write_text(config)
    rules = Rulebook.load()
    rules.images.root = tmp_path
    place = f"0::/system.slice/docker-{container}.scope\n"
    host.add(90, ["sleep", "inf"], exe="/usr/bin/sleep", cgroup=place, ports=[8000])
    assert rules.recognise(host.table()) == []
    host.add(100, [PYTHON, "-m", "vllm.entrypoints.openai.api_server"], cgroup=place)
    found = only(rules.recognise(host.table()))
    assert found.name == "vllm-chat"
    assert found.points == 90


@pytest.mark.parametrize("script", ["server.py", "/srv/app/server.py"])
def test_a_server_that_is_a_library_is_recognised_by_what_its_script_imports(
    host: Host, rules: Rulebook, script: str
) -> None:
    host.add(100, [PYTHON, script], ports=[8102])
    place = host.root / "100" / ("root/srv/app" if script.startswith("/") else "cwd")
    place.mkdir(parents=True)
    (place / "server.py").write_text("import os\nimport litserve as ls\n\nls.LitServer(None)\n")
    found = only(rules.recognise(host.table()))
    assert found.engine == "litserve"
    assert "its script imports LitServe" in {one.why for one in found.why}


@pytest.mark.parametrize(
    "text", ["# import litserve\n", "important = 1; litserve = 2\n", "import litserved\n", ""]
)
def test_a_script_that_imports_no_server_is_none(host: Host, rules: Rulebook, text: str) -> None:
    host.add(100, [PYTHON, "server.py"], ports=[8102])
    (host.root / "100" / "cwd").mkdir()
    (host.root / "100" / "cwd" / "server.py").write_text(text)
    assert rules.recognise(host.table()) == []


def test_a_script_that_is_a_pipe_is_not_opened(host: Host, rules: Rulebook) -> None:
    host.add(100, [PYTHON, "server.py"], ports=[8102])
    (host.root / "100" / "cwd").mkdir()
    os.mkfifo(host.root / "100" / "cwd" / "server.py")
    assert rules.recognise(host.table()) == []


def test_a_script_that_imports_an_engine_and_never_listens_is_a_job(
    host: Host, rules: Rulebook
) -> None:
    host.add(100, [PYTHON, "batch.py"])
    (host.root / "100" / "cwd").mkdir()
    (host.root / "100" / "cwd" / "batch.py").write_text("from vllm import LLM\n")
    assert rules.recognise(host.table()) == []


def test_a_plain_web_server_of_scikit_learn_is_an_ai_workload(host: Host, rules: Rulebook) -> None:
    built = "/v/site-packages/sklearn/__check_build/_check_build.cpython-311-x86_64-linux-gnu.so"
    host.add(100, [PYTHON, "app.py"], libraries=[built], ports=[8000])
    assert only(rules.recognise(host.table())).engine == "generic"
