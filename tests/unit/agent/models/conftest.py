"""A model directory as publishers lay one out."""

from pathlib import Path

import pytest


@pytest.fixture
def model(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    (root / "sub").mkdir(parents=True)
    (root / "weights.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    (root / "sub" / "config.json").write_text("{}")
    (root / "latest.safetensors").symlink_to("weights.safetensors")
    return root
