"""Starts and stops the real test servers, each as its own process tree."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psutil

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache"
ONNX_PYTHON = CACHE / "demo-venv" / "bin" / "python"
ONNX_MODELS = CACHE / "demo-models"


class ServerError(Exception):
    """A test server did not start or answer; the message says what to do."""


def free_port() -> int:
    """Return a free loopback TCP port below the ephemeral range, so that no client takes it."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for candidate in range(low - 1 - os.getpid() % 5000, 1024, -7):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", candidate))
            return candidate
    raise ServerError("no free loopback port below the ephemeral range")


def post(
    port: int, path: str, body: Mapping[str, object], timeout_s: float = 5.0
) -> dict[str, object]:
    """POST a JSON object to 127.0.0.1 and return the object answered; ServerError if none is."""
    return _exchange(port, "POST", path, json.dumps(body).encode(), timeout_s)


def get(port: int, path: str, timeout_s: float = 5.0) -> dict[str, object]:
    """GET a JSON object from a server on 127.0.0.1; ServerError when there is none."""
    return _exchange(port, "GET", path, None, timeout_s)


def _exchange(
    port: int, method: str, path: str, body: bytes | None, timeout_s: float
) -> dict[str, object]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ServerError(f"no answer from 127.0.0.1:{port}{path}: {error}") from error
    finally:
        connection.close()
    if response.status != http.client.OK or not isinstance(answer, dict):
        raise ServerError(f"127.0.0.1:{port}{path} answered {response.status}: {answer}")
    return answer


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and its living descendants; empty when it has ended."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_s(pid: int) -> float:
    """CPU seconds of a whole tree so far, user and system, children that ended included."""
    spent = 0.0
    for member in tree(pid):
        with suppress(psutil.NoSuchProcess):
            spent += sum(member.cpu_times()[:4])
    return spent


def end(process: subprocess.Popen[bytes], timeout_s: float = 5.0) -> None:
    """End a process and its descendants, stopped or not; SIGKILL after the timeout."""
    family = tree(process.pid)
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.send_signal(signal.SIGTERM)
            member.send_signal(signal.SIGCONT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout_s)
    _, alive = psutil.wait_procs(
        [member for member in family if member.pid != process.pid], timeout=0.5
    )
    for member in alive:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    if process.poll() is None:
        process.kill()
        process.wait()


def prepare() -> None:
    """Train the models unless that was done; ServerError when there is no environment for it."""
    if (ONNX_MODELS / "samples.json").exists():  # written last
        return
    if not ONNX_PYTHON.exists():
        raise ServerError(f"there is no {ONNX_PYTHON}; `make demo-setup` makes it")
    done = subprocess.run(
        [ONNX_PYTHON, HERE / "onnx" / "train.py", ONNX_MODELS],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ServerError(f"the model could not be trained: {done.stderr.strip()[-300:]}")


@dataclass(frozen=True, slots=True)
class OnnxServer:
    """The digit recogniser, running: see onnx/README.md."""

    dialect: ClassVar[str] = "digits"

    process: subprocess.Popen[bytes]
    port: int
    models: Path
    log: Path

    @classmethod
    def start(
        cls, directory: Path, *, port: int = 0, unsafe: bool = False, ready_s: float = 30.0
    ) -> "OnnxServer":
        """Start with version 1 of the model in `directory`/models and wait until it answers.

        Raises:
            ServerError: The set-up is missing, or it did not answer within `ready_s`.
        """
        prepare()
        models = directory / "models"
        models.mkdir(parents=True)
        for name in ("digits-1.onnx", "samples.json"):
            shutil.copy(ONNX_MODELS / name, models)
        port = port or free_port()
        log = directory / "server.log"
        options = ["--port", str(port), "--models", str(models)] + ["--unsafe"] * unsafe
        with log.open("wb") as output:
            process = subprocess.Popen(
                [ONNX_PYTHON, HERE / "onnx" / "server.py", *options],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        server = cls(process, port, models, log)
        try:
            server._wait_ready(ready_s)
        except ServerError:
            server.stop()
            raise
        return server

    def _wait_ready(self, ready_s: float) -> None:
        deadline = time.monotonic() + ready_s
        while True:
            try:
                get(self.port, "/health", 1.0)
            except ServerError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise ServerError(f"the server did not start; see {self.log}") from error
                time.sleep(0.01)
            else:
                return

    @property
    def samples(self) -> Path:
        """Held-out digits with their labels."""
        return self.models / "samples.json"

    def publish(self, version: int) -> Path:
        """Put another trained version into the model directory, whole at once."""
        target = self.models / f"digits-{version}.onnx"
        partial = target.with_suffix(".partial")
        shutil.copy(ONNX_MODELS / target.name, partial)
        return partial.rename(target)

    def reload(self, version: int) -> int:
        """Make it serve a version; return the version it says it serves now."""
        answer = post(self.port, "/admin/reload", {"version": version})
        return int(str(answer["version"]))

    def cpu_s(self) -> float:
        """CPU seconds of the whole tree so far."""
        return cpu_s(self.process.pid)

    def stop(self) -> None:
        """End it and everything it started."""
        end(self.process)
