"""Real model servers to drill: the catalogue's acts run inside their own process."""

from __future__ import annotations

import json
import os
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
from tests.servers.engines import TORCHSERVE_HANDLER, Launch, llamacpp, torchserve
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
LLAMACPP_PYTHON: Final = CACHE / "llamacpp-venv" / "bin" / "python"
TRITON_PYTHON: Final = CACHE / "triton-venv" / "bin" / "python"

TORCHSERVE: Final = "torchserve"
TORCHSERVE_PYTHON: Final = CACHE / "torchserve-venv" / "bin" / "python"
HANDLER: Final = Path(__file__).with_name("hooked_handler.py")

Line = Callable[[Path, int], list[str]]


def _onnx(directory: Path, port: int) -> list[str]:
    script = HERE / "onnx" / "server.py"
    return [str(script), "--port", str(port), "--models", str(directory)]


def _triton(directory: Path, port: int) -> list[str]:
    script = HERE / "triton" / "server.py"
    return [str(script), "--port", str(port), "--directory", str(directory)]


def _llamacpp(directory: Path, port: int) -> list[str]:
    return llamacpp(directory, LLAMACPP_PYTHON, port, threads=2).line[1:]


KINDS: Final[dict[str, tuple[Path, Dialect]]] = {
    "llamacpp": (LLAMACPP_PYTHON, DIALECTS["llamacpp"]),
    "onnx": (ONNX_PYTHON, DIALECTS["digits"]),
    "pytriton": (TRITON_PYTHON, DIALECTS["triton"]),
    TORCHSERVE: (TORCHSERVE_PYTHON, DIALECTS["torchserve"]),
}
"""Whose Python, and how each is asked."""

LINES: Final[dict[str, Line]] = {"llamacpp": _llamacpp, "onnx": _onnx, "pytriton": _triton}
"""Those that are one Python program."""


def rig(kind: str, run_dir: Path, tell: Callable[[str], None]) -> ServerRig:
    """Return the rig of one of `KINDS`; ServerError where its environment was not set up."""
    return (TorchServeRig if kind == TORCHSERVE else ServerRig)(kind, run_dir, tell)


class ServerRig(Rig):
    """One of `KINDS` under watch: the drills' own rig with another server in it.

    Args:
        kind: Its name.
        run_dir: Of the running agent.
        tell: Given a line about how far learning is.
    """

    def __init__(self, kind: str, run_dir: Path, tell: Callable[[str], None]) -> None:
        """Start nothing yet; ServerError where its environment was not set up."""
        super().__init__(run_dir, tell)
        self.kind = kind
        self.python, self._dialect = KINDS[kind]
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
        self.served = _after(self.port)
        launch = self._launch(models)
        token = self.place.directory / "token"
        token.touch(0o600)
        token.write_text(f"{self._token}\n")
        with token.open() as given, (self.place.directory / "server.log").open("wb") as log:
            self._server = subprocess.Popen(
                launch.line,
                env=os.environ | launch.environment,
                stdin=given,
                stdout=log,
                stderr=log,
                text=True,
                cwd=self.place.directory,
                start_new_session=True,
            )
        self._stack.callback(self._end)
        self._await()
        token.unlink()

    def _launch(self, models: Path) -> Launch:
        arguments = (self.place.directory, self.place.hub, self.port)
        line = [self.python, HOOKED, ROOT, *arguments, *LINES[self.kind](models, self.served)]
        return Launch([str(word) for word in line], {})

    def _await(self) -> None:
        give_up = time.monotonic() + READY_S
        while True:
            with suppress(OSError):
                self.predict()
                return
            if self._server.poll() is not None or time.monotonic() > give_up:
                log = (self.place.directory / "server.log").read_text("utf-8", "replace")
                raise ServerError(f"the server does not answer: {log[-500:]}")
            time.sleep(0.2)

    def predict(self) -> object:
        """Ask for a digit; OSError where none is answered, which the load counts and outlives."""
        try:
            return post(self.served, self._dialect.path, self._dialect.body(self._pixels))
        except ServerError as error:
            raise OSError(str(error)) from error


class TorchServeRig(ServerRig):
    """TorchServe, the door in the worker that computes: its frontend is no Python program."""

    def _launch(self, models: Path) -> Launch:
        launch = torchserve(models, self.python, self.served, (HANDLER, TORCHSERVE_HANDLER))
        place = self.place.directory
        door = {"root": str(ROOT), "directory": str(place), "hub": self.place.hub}
        door |= {"port": self.port, "token": str(place / "token")}
        return Launch(launch.line, {**launch.environment, "DOOR": json.dumps(door)})


def _after(port: int) -> int:
    """Return a port below, with room above it for what a server opens beside."""
    return port - 16
