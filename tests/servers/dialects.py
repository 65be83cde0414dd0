"""How each server is asked about a digit, and where its answer holds it (llama.cpp's is noise)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One server's way to be asked: a path, a JSON body for 64 pixels, and the digit answered."""

    path: str
    body: Callable[[Sequence[float]], Mapping[str, object]]
    digit: Callable[[Answer], object]


def _pixels(pixels: Sequence[float]) -> Mapping[str, object]:
    return {"pixels": pixels}


def _tensor(pixels: Sequence[float]) -> Mapping[str, object]:
    """As the open inference protocol has it, version 2."""
    shape = [1, len(pixels)]
    return {
        "inputs": [{"name": "pixels", "shape": shape, "datatype": "FP32", "data": list(pixels)}]
    }


def _completion(pixels: Sequence[float]) -> Mapping[str, object]:
    """A prompt as long as the digit is dark, so that no two cost the same."""
    prompt = " ".join(str(int(pixel)) for pixel in pixels if pixel)
    return {"prompt": prompt, "n_predict": 4, "cache_prompt": False}


DIALECTS = {
    "digits": Dialect("/predict", _pixels, lambda answer: answer.get("digit")),
    "triton": Dialect(
        "/v2/models/digits/infer", _tensor, lambda answer: answer["outputs"][0]["data"][0]
    ),
    "llamacpp": Dialect("/completion", _completion, lambda answer: answer["content"]),
    "torchserve": Dialect("/predictions/digits", _pixels, lambda answer: answer.get("digit")),
}
