"""Trains the digit recogniser in two versions, as ONNX, with held-out samples for the load."""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# The second version is a retrained, wider network: what a legitimate release looks like.
HIDDEN = {1: (64,), 2: (96, 48)}
SAMPLES = 200


def train(directory: Path) -> dict[int, float]:
    """Write digits-N.onnx and samples.json; return each version's accuracy on held-out digits."""
    digits = load_digits()
    train_x, test_x, train_y, test_y = train_test_split(
        digits.data.astype(np.float32),
        digits.target,
        test_size=0.25,
        random_state=7,
        stratify=digits.target,
    )
    directory.mkdir(parents=True, exist_ok=True)
    accuracy = {}
    for version, layers in HIDDEN.items():
        network = MLPClassifier(layers, max_iter=400, random_state=version)
        model = make_pipeline(StandardScaler(), network).fit(train_x, train_y)
        exported = to_onnx(model, train_x[:1], options={"zipmap": False})
        (directory / f"digits-{version}.onnx").write_bytes(exported.SerializeToString())
        accuracy[version] = float(model.score(test_x, test_y))
    samples = [
        {"pixels": x.tolist(), "digit": int(y)}
        for x, y in zip(test_x[:SAMPLES], test_y[:SAMPLES], strict=True)
    ]
    (directory / "samples.json").write_text(json.dumps(samples))
    return accuracy


def main() -> int:
    """Train into the directory named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    accuracy = train(parser.parse_args().models)
    sys.stdout.write(
        "".join(
            f"digits-{version}.onnx: {score:.1%} of held-out digits\n"
            for version, score in accuracy.items()
        )
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
