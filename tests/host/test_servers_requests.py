"""Real model servers, of Python, C++ and Java: what is asked of them is counted exactly."""

import http.client
import json
import subprocess
import time
from pathlib import Path
from typing import Protocol

import pytest

from collectors.requests import Requests
from tests.host.eyes import Eyes
from tests.servers.dialects import DIALECTS
from tests.servers.engines import EngineServer
from tests.servers.serve import CACHE, HERE, OnnxServer, ServerError, tree

pytestmark = pytest.mark.timeout(300)

MANY = 1009


class Served(Protocol):
    """A server, whatever its make."""

    @property
    def port(self) -> int:
        """Where it listens on loopback."""

    @property
    def samples(self) -> Path:
        """What to ask."""

    @property
    def dialect(self) -> str:
        """How to ask."""

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The root of its tree."""

    def stop(self) -> None:
        """End it."""


def started(name: str, directory: Path) -> Served:
    try:
        if name == "onnx":
            return OnnxServer.start(directory)
        return EngineServer.start(name, directory)
    except ServerError as error:
        pytest.skip(f"{name} is not installed here, or does not start: {error}")


@pytest.mark.parametrize("name", ["llamacpp", "onnx", "triton", "torchserve"])
def test_a_real_server_is_asked_exactly_so_often(eyes: Eyes, name: str, tmp_path: Path) -> None:
    server, number = started(name, tmp_path / name), eyes.workload()
    try:
        for process in tree(server.process.pid):
            eyes.watch(process.pid, number)
        eyes.seen(number)
        requests, dialect = Requests(eyes.sensor), DIALECTS[server.dialect]
        pixels = json.loads(server.samples.read_text())[0]["pixels"]
        body = json.dumps(dialect.body(pixels)).encode()
        line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        for _ in range(MANY):
            line.request("POST", dialect.path, body, {"Content-Type": "application/json"})
            assert line.getresponse().read()
        line.close()
        time.sleep(0.2)
        found = requests.read()[number]
    finally:
        server.stop()
    mine = [one for one in found.routes if one.route.endswith(dialect.path)]
    assert [(one.requests, one.answers, one.answered) for one in mine] == [(MANY, MANY, MANY)]
    assert mine[0].bytes_in > MANY * len(body)
    assert (found.wait_ms(0.5) or 0) > 0
    assert eyes.seen(number).totals["COUNT_UNASKED_BYTES"] == 0


def test_grpc_of_a_real_server_is_counted_by_its_methods(eyes: Eyes, tmp_path: Path) -> None:
    server, number = started("triton", tmp_path / "triton"), eyes.workload()
    python, asking = CACHE / "triton-venv" / "bin" / "python", HERE / "triton" / "asking.py"
    try:
        for process in tree(server.process.pid):
            eyes.watch(process.pid, number)
        eyes.seen(number)
        requests = Requests(eyes.sensor)
        port, samples = str(server.port + 1), str(server.samples)
        line = [
            str(python),
            str(asking),
            "--port",
            port,
            "--samples",
            samples,
            "--count",
            str(MANY),
        ]
        line += ["--at-once", "50", "--manage"]
        done = subprocess.run(line, check=True, capture_output=True, text=True, timeout=90)
        time.sleep(0.2)
        found = requests.read()[number]
    finally:
        server.stop()
    assert done.stdout.split() == ["StatusCode.NOT_FOUND", "StatusCode.UNAVAILABLE"]
    every = MANY + 50 + 1
    told = {one.route: one for one in found.routes}
    infer = told.pop("POST /inference.GRPCInferenceService/ModelInfer")
    load = told.pop("POST /inference.GRPCInferenceService/RepositoryModelLoad")
    assert not told
    assert (infer.requests, infer.answers, infer.answered) == (every, every, every)
    assert (infer.denied, infer.refusals, infer.errors) == (1, 1, 0)
    assert (load.requests, load.answers, load.errors) == (1, 1, 1)
    assert infer.bytes_in > every * 64 * 4
    assert (found.wait_ms(0.5) or 0) > 0
    seen = eyes.seen(number)
    assert seen.totals["COUNT_UNREAD"] == 0
    assert seen.items("request") == [infer.route, load.route]
