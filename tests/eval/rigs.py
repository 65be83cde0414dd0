"""Real model servers to drill: the catalogue's acts run inside their own process."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent.drills.rig import Rig
from tests.eval.offline import DRILLED
from tests.servers.dialects import DIALECTS, Dialect
from tests.servers.serve import (
    CACHE,
    HERE,
    ONNX_MODELS,
    ONNX_PYTHON,
    ServerError,
    free_port,
    post,
    prepare,
)

ROOT: Final = HERE.parent.parent
HOOKED: Final = Path(__file__).with_name("hooked.py")
MODEL: Final = "digits-1.onnx"
READY_S: Final = 60.0
TRITON_PYTHON: Final = CACHE / "triton-venv" / "bin" / "python"

Line = Callable[[Path, int], list[str]]


def _onnx(directory: Path, port: int) -> list[str]:
    script = HERE / "onnx" / "server.py"
    return [str(script), "--port", str(port), "--models", str(directory)]


def _triton(directory: Path, port: int) -> list[str]:
    script = HERE / "triton" / "server.py"
    return [str(script), "--port", str(port), "--directory", str(directory)]


SERVERS: Final[dict[str, tuple[Path, Line, Dialect]]] = {
    "onnx": (ONNX_PYTHON, _onnx, DIALECTS["digits"]),
    "pytriton": (TRITON_PYTHON, _triton, DIALECTS["triton"]),
}


class ServerRig(Rig):
    """One of `SERVERS` under watch: the drills' own rig with another server in it.

    Args:
        kind: A name of `SERVERS`.
        run_dir: Of the running agent.
        tell: Given a line about how far learning is.
    """

    def __init__(self, kind: str, run_dir: Path, tell: Callable[[str], None]) -> None:
        """Start nothing yet; ServerError where its environment was not set up."""
        super().__init__(run_dir, tell)
        self.python, self._line, self._dialect = SERVERS[kind]
        if not self.python.exists():
            raise ServerError(f"there is no {self.python}; `make bench-setup` makes it")
        prepare()
        samples = json.loads((ONNX_MODELS / "samples.json").read_text())
        self._pixels = samples[0]["pixels"]
        self.name = f"{DRILLED}{kind}"
        self.served = 0

    def _serve(self) -> None:
        models = self.place.directory / "served"
        models.mkdir()
        shutil.copy(ONNX_MODELS / MODEL, models)
        self.port = free_port()  # the door's: `act` of the base class asks there
        arguments = (self.place.directory, self.place.hub, self.port)
        self.served = _after(self.port)
        line = [self.python, HOOKED, ROOT, *arguments, *self._line(models, self.served)]
        log = (self.place.directory / "server.log").open("wb")
        self._server = subprocess.Popen(
            [str(word) for word in line],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
            cwd=self.place.directory,
            start_new_session=True,
        )
        log.close()
        self._stack.callback(self._end)
        if self._server.stdin is None:
            raise ServerError("no pipe to it")
        self._server.stdin.write(f"{self._token}\n")
        self._server.stdin.close()
        self._await()

    def _await(self) -> None:
        give_up = time.monotonic() + READY_S
        while True:
            with suppress(ServerError):
                self.predict()
                return
            if self._server.poll() is not None or time.monotonic() > give_up:
                log = (self.place.directory / "server.log").read_text("utf-8", "replace")
                raise ServerError(f"the server does not answer: {log[-500:]}")
            time.sleep(0.2)

    def predict(self) -> object:
        """Ask for a digit."""
        return post(self.served, self._dialect.path, self._dialect.body(self._pixels))


def _after(port: int) -> int:
    """Return a port below, with two more below it free for what a server opens beside."""
    return port - 16
