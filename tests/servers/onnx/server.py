"""A real model server: ONNX Runtime behind FastAPI and uvicorn, on loopback only.

With --unsafe it also has an endpoint that unpickles what it is sent: a
deliberate hole (MITRE ATLAS AML.T0011.000) for demonstrations and drills. See
the README beside this file.
"""

import argparse
import pickle
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

PIXELS = 64


@dataclass(frozen=True)
class Digit:
    """One image: 8 x 8 grey values from 0 to 16, row by row."""

    pixels: list[float]


@dataclass(frozen=True)
class Release:
    """Which version to serve; the newest in the model directory when left out."""

    version: int | None = None


class Recogniser:
    """The model being served, and the directory its versions come from."""

    def __init__(self, directory: Path) -> None:
        """Load the newest version found in the directory."""
        self.directory = directory
        self.version = 0
        self.load(None)

    def load(self, version: int | None) -> int:
        """Open a version and serve it from now on; FileNotFoundError when it is not there."""
        names = (
            re.fullmatch(r"digits-(\d+)\.onnx", path.name) for path in self.directory.iterdir()
        )
        wanted = version or max((int(name[1]) for name in names if name), default=0)
        path = self.directory / f"digits-{wanted}.onnx"
        if not path.is_file():
            raise FileNotFoundError(path)
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.version = wanted
        return wanted

    def predict(self, pixels: list[float]) -> tuple[int, float]:
        """Run the network on one image; return the digit and its probability."""
        labels, probabilities = self._session.run(None, {"X": np.array([pixels], dtype=np.float32)})
        return int(labels[0]), float(probabilities[0].max())


def application(models: Path, *, unsafe: bool) -> FastAPI:
    """Build the service over a model directory."""
    recogniser = Recogniser(models)
    app = FastAPI(title="digits")

    def health() -> dict[str, int]:
        return {"version": recogniser.version}

    def predict(digit: Digit) -> dict[str, float]:
        if len(digit.pixels) != PIXELS:
            raise HTTPException(422, f"an image has {PIXELS} pixels")
        label, probability = recogniser.predict(digit.pixels)
        return {"digit": label, "probability": probability, "version": recogniser.version}

    def reload_model(release: Release | None = None) -> dict[str, int]:
        try:
            return {"version": recogniser.load(release.version if release else None)}
        except FileNotFoundError as error:
            raise HTTPException(404, f"no such model file: {error}") from error

    async def load_pickle(request: Request) -> dict[str, str]:
        body = await request.body()
        loaded = await run_in_threadpool(pickle.loads, body)  # the deliberate hole
        return {"loaded": type(loaded).__name__}

    app.add_api_route("/health", health, methods=["GET"])
    app.add_api_route("/predict", predict, methods=["POST"])
    app.add_api_route("/admin/reload", reload_model, methods=["POST"])
    if unsafe:
        app.add_api_route("/admin/load_pickle", load_pickle, methods=["POST"])
    return app


def main() -> None:
    """Serve on 127.0.0.1, and nowhere else, until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument(
        "--unsafe", action="store_true", help="add the endpoint that unpickles what it is sent"
    )
    arguments = parser.parse_args()
    app = application(arguments.models, unsafe=arguments.unsafe)
    uvicorn.run(
        app, host="127.0.0.1", port=arguments.port, log_level="warning", timeout_graceful_shutdown=2
    )


if __name__ == "__main__":
    main()
