"""Fits one resource model and ends: rows as .npy on standard input, the model as .npz on output.

A program of its own, because scikit-learn's memory is not the daemon's to keep.
"""

import io
import sys
from dataclasses import fields

import numpy as np

from detectors.resources import ResourceModel, fit


def encode(model: ResourceModel) -> bytes:
    """The model's arrays; nothing in them is code."""
    out = io.BytesIO()
    np.savez(out, **{field.name: getattr(model, field.name) for field in fields(model)})
    return out.getvalue()


def decode(data: bytes) -> ResourceModel:
    """What `encode` wrote; raises ValueError or KeyError for anything else."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return ResourceModel(**{field.name: arrays[field.name] for field in fields(ResourceModel)})


def main() -> None:
    """Fit what standard input holds."""
    rows = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    sys.stdout.buffer.write(encode(fit(rows)))


if __name__ == "__main__":
    main()
