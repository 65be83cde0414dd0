"""Triton's own gRPC client, asking for digits; and what it is told beside them, with `--manage`."""

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from queue import Queue

import numpy as np
import tritonclient.grpc as triton


def main() -> None:
    """Ask so often, one after the other, then so many at once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=0)
    parser.add_argument("--manage", action="store_true")
    asked = parser.parse_args()
    pixels = np.asarray(json.loads(asked.samples.read_text())[0]["pixels"], np.float32)
    given = triton.InferInput("pixels", [1, 64], "FP32")
    given.set_data_from_numpy(pixels.reshape(1, 64))
    client = triton.InferenceServerClient(f"127.0.0.1:{asked.port}")
    for _ in range(asked.count):
        client.infer("digits", [given])
    answers: Queue[Exception | None] = Queue()
    told = {"callback": lambda **answer: answers.put(answer["error"])}
    for _ in range(asked.at_once):
        client.async_infer("digits", [given], **told)
    for _ in range(asked.at_once):
        if error := answers.get(timeout=30):
            raise error
    if asked.manage:
        calls = (partial(client.infer, inputs=[given]), client.load_model)
        for call in calls:
            try:
                call("nothing")
            except triton.InferenceServerException as error:
                sys.stdout.write(f"{error.status()}\n")
    client.close()


if __name__ == "__main__":
    main()
