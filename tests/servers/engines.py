"""Real model servers of other shapes than the demo's, each as its own process tree.

Triton through PyTriton: a C++ server and Python processes that share memory with it. TorchServe:
a Java front end and a Python worker behind a socket. Both serve the demo's model with ONNX
Runtime, so that one load and one set of labels serve them all. llama.cpp's own server serves a
llama of random weights: its work is real, its answers are noise.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.servers.dialects import DIALECTS
from tests.servers.serve import (
    CACHE,
    HERE,
    ONNX_MODELS,
    ServerError,
    cpu_s,
    end,
    free_port,
    post,
    prepare,
    tree,
)

MODEL = "digits-1.onnx"
TORCHSERVE_HANDLER = HERE / "torchserve" / "handler.py"


@dataclass(frozen=True, slots=True)
class Launch:
    """A command line, and the variables it needs beside ours."""

    line: list[str]
    environment: Mapping[str, str]


def triton(directory: Path, python: Path, port: int) -> Launch:
    """Start tritonserver; everything it writes lies in the directory."""
    line = [python, HERE / "triton" / "server.py", "--port", port, "--directory", directory]
    return Launch([str(word) for word in line], {})


def llamacpp(directory: Path, python: Path, port: int, threads: int = 1) -> Launch:
    """Start llama.cpp's server in a Python process, with weights made here.

    Two threads that compute wait for each other by spinning: on a host whose processors others
    want, too, they make two answers a second.
    """
    model = directory / "noise.gguf"
    subprocess.run([python, HERE / "llamacpp" / "model.py", model], check=True)
    line = [python, HERE / "llamacpp" / "server.py", "--port", port, "--model", model]
    return Launch([str(word) for word in (*line, "--threads", threads)], {})


def torchserve(
    directory: Path, python: Path, port: int, handlers: Sequence[Path] = (TORCHSERVE_HANDLER,)
) -> Launch:
    """Start TorchServe with the model in an archive made here, on ports from `port` on.

    Args:
        directory: With the model; everything that it writes lies there.
        python: Of its environment.
        port: The first of six.
        handlers: Python files for the archive; the first one's `handle` is asked.
    """
    archive = directory / "digits.mar"
    manifest = {
        "runtime": "python",
        "model": {
            "modelName": "digits",
            "serializedFile": MODEL,
            "handler": f"{handlers[0].name}:handle",
            "modelVersion": "1.0",
        },
        "archiverVersion": "0.12.0",
    }
    with zipfile.ZipFile(archive, "w") as into:
        for handler in handlers:
            into.write(handler, handler.name)
        into.write(directory / MODEL, MODEL)
        into.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
    settings = {
        "inference_address": f"http://127.0.0.1:{port}",
        "management_address": f"http://127.0.0.1:{port + 1}",
        "metrics_address": f"http://127.0.0.1:{port + 2}",
        "grpc_inference_port": port + 3,
        "grpc_management_port": port + 4,
        "initial_worker_port": port + 5,
        "default_workers_per_model": 1,
        "disable_system_metrics": "true",
    }
    config = directory / "config.properties"
    config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    line = [python.with_name("torchserve"), "--start", "--foreground", "--ncs"]
    line += ["--disable-token-auth", "--ts-config", config, "--model-store", directory]
    line += ["--models", f"digits={archive.name}"]
    logs = str(directory / "logs")
    # It starts its workers with whatever `python` comes first.
    path = f"{python.parent}:{os.environ.get('PATH', '')}"
    # And it notes there that it runs, so that a second one would not.
    own = directory / "tmp"
    own.mkdir()
    environment = {"PATH": path, "LOG_LOCATION": logs, "METRICS_LOCATION": logs, "TMPDIR": str(own)}
    return Launch([str(word) for word in line], environment)


ENGINES: Mapping[str, Callable[[Path, Path, int], Launch]] = {
    "llamacpp": llamacpp,
    "triton": triton,
    "torchserve": torchserve,
}


@dataclass(frozen=True, slots=True)
class EngineServer:
    """One of them, running. `dialect` is how the load asks it."""

    process: "subprocess.Popen[bytes]"
    port: int
    directory: Path
    dialect: str
    log: Path
    ready_s: float

    @classmethod
    def start(cls, engine: str, directory: Path, *, limit_s: float = 120.0) -> "EngineServer":
        """Start and wait until it recognises a digit.

        Raises:
            ServerError: The set-up is missing, or it did not answer within `limit_s`.
        """
        environment = CACHE / f"{engine}-venv"
        if not (environment / "installed.sha256").exists():  # written last
            raise ServerError(f"there is no {environment}; `make bench-setup` makes it")
        python = environment / "bin" / "python"
        prepare()
        directory.mkdir(parents=True)
        for name in (MODEL, "samples.json"):
            shutil.copy(ONNX_MODELS / name, directory)
        port, log = free_port(), directory / "server.log"
        launch = ENGINES[engine](directory, python, port)
        began = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                launch.line,
                cwd=directory,
                env=os.environ | launch.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        server = cls(process, port, directory, engine, log, 0.0)
        try:
            server.wait_ready(began + limit_s)
        except ServerError:
            server.stop()
            raise
        return cls(process, port, directory, engine, log, time.monotonic() - began)

    def wait_ready(self, until_s: float) -> None:
        """Ask until it answers; ServerError when it ends, or after `until_s` (monotonic)."""
        dialect = DIALECTS[self.dialect]
        body = dialect.body(json.loads(self.samples.read_text())[0]["pixels"])
        while True:
            with suppress(ServerError, KeyError, IndexError):
                dialect.digit(post(self.port, dialect.path, body))
                return
            if self.process.poll() is not None or time.monotonic() > until_s:
                raise ServerError(f"{self.dialect} did not start; see {self.log}")
            time.sleep(0.01)

    @property
    def samples(self) -> Path:
        """Held-out digits with their labels."""
        return self.directory / "samples.json"

    def cpu_s(self) -> float:
        """CPU seconds of the whole tree so far."""
        return cpu_s(self.process.pid)

    def stop(self) -> None:
        """End it and everything it started, with what PyTriton leaves in shared memory."""
        pids = [member.pid for member in tree(self.process.pid)]
        end(self.process)
        for pid in pids:
            for left in Path("/dev/shm").glob(f"pytrtion{pid}-*"):
                left.unlink(missing_ok=True)


if __name__ == "__main__":
    running = EngineServer.start(sys.argv[1], Path(sys.argv[2]))
    sys.stdout.write(f"{running.port} after {running.ready_s:.1f} s\n")
    running.process.wait()
