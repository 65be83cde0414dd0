"""The digit model behind a real tritonserver, through PyTriton, on loopback only."""

import argparse
from pathlib import Path

import numpy as np
import onnxruntime
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    asked = parser.parse_args()
    model = asked.directory / "digits-1.onnx"
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    def infer(pixels: np.ndarray) -> dict[str, np.ndarray]:
        labels, _ = session.run(None, {"X": pixels})
        return {"digit": np.asarray(labels, dtype=np.int64).reshape(-1, 1)}

    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=asked.port,
        grpc_address="127.0.0.1",
        allow_metrics=False,
        grpc_port=asked.port + 1,
        metrics_port=asked.port + 2,
    )
    with Triton(config=config, workspace=str(asked.directory / "workspace")) as server:
        server.bind(
            model_name="digits",
            infer_func=batch(infer),
            inputs=[Tensor(name="pixels", dtype=np.float32, shape=(64,))],
            outputs=[Tensor(name="digit", dtype=np.int64, shape=(1,))],
            config=ModelConfig(max_batch_size=8),
        )
        server.serve()


if __name__ == "__main__":
    main()
