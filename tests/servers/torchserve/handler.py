"""What TorchServe's worker runs for the digit model: packed alone into the model's archive."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime


@cache
def session(directory: str) -> onnxruntime.InferenceSession:
    """Open the model of this archive, once."""
    model = Path(directory, "digits-1.onnx")
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def handle(data: list[dict[str, Any]] | None, context: Any) -> list[dict[str, int]] | None:  # noqa: ANN401 - TorchServe's own
    """Recognise a batch of digits; the first call, without data, loads the model."""
    network = session(context.system_properties["model_dir"])
    if data is None:
        return None
    rows = [_pixels(row) for row in data]
    labels, _ = network.run(None, {"X": np.array(rows, dtype=np.float32)})
    return [{"digit": int(label)} for label in labels]


def _pixels(row: dict[str, Any]) -> list[float]:
    body: Any = row.get("body") or row.get("data")
    plain = json.loads(body) if isinstance(body, (bytes, bytearray, str)) else body
    return list(plain["pixels"])
